/** From where an image comes to where an analysis has it: `inputs/{account}/{analysis}`, checked and hashed on the way. */
import { Problem, type ProblemCode } from "@omni-iml/shared/problems";
import type { AnalysisInput } from "../analysis/snapshot.ts";
import { nameOther, sniffImage } from "../analysis/sniff.ts";
import { EgressError, type EgressReason, egress } from "../egress/egress.ts";
import { type Environment, settings } from "../environment.ts";
import { sha256Hex } from "../storage/digest.ts";
import { reserveInBand } from "../storage/in-band-budget.ts";
import { inputKey, uploadKey } from "../storage/objects.ts";

export type Source =
  /** In the request itself, checked and hashed already. */
  | { kind: "body"; image: Uint8Array; input: AnalysisInput }
  | { kind: "address"; url: string }
  | { kind: "upload"; id: string };

/** Enough of a file to tell what it is. */
const headBytes = 512;
export const longestFilename = 255;

/** Stores the input of `analysis`. Throws a Problem if there is none that can be analysed; nothing is stored then. */
export function storeInput(
  env: Environment,
  account: string,
  analysis: string,
  source: Source,
): Promise<AnalysisInput> {
  const key = inputKey(account, analysis);
  switch (source.kind) {
    case "body":
      return put(env, key, source.image, source.input);
    case "address":
      return fetchInput(env, key, source.url);
    case "upload":
      return copyUpload(env, key, account, source.id, analysis);
  }
}

/** The type of the image that begins with `head`. Throws `unsupported_media_type`. */
export function imageType(head: Uint8Array): string {
  const type = sniffImage(head);
  if (type === null) throw new Problem("unsupported_media_type", `The file is ${nameOther(head)}.`);
  return type;
}

/** Storage checks the hash, so that what lies there is what the record says. */
async function put(
  env: Environment,
  key: string,
  image: Uint8Array | ReadableStream,
  input: AnalysisInput,
): Promise<AnalysisInput> {
  try {
    await env.STORAGE.put(key, image, { sha256: input.sha256, httpMetadata: { contentType: input.content_type } });
  } catch (cause) {
    throw new Problem("storage_unavailable", "The image could not be stored.", { cause });
  }
  return input;
}

async function fetchInput(env: Environment, key: string, url: string): Promise<AnalysisInput> {
  const limits = settings(env);
  try {
    const answer = await egress(limits, {
      method: "GET",
      url,
      headers: { accept: "image/*, application/octet-stream;q=0.5" },
      timeout: limits.IMAGE_URL_TIMEOUT_S,
      maxBytes: limits.IN_BAND_MAX_BYTES,
      redirects: limits.IMAGE_URL_REDIRECTS,
      accepts: mayBeImage,
    });
    if (answer.status !== 200) {
      await answer.cancel();
      throw new Problem("image_url_failed", `The address answers ${answer.status}.`);
    }
    // One that names no length is in memory twice while its buffer grows.
    using _memory = reserveInBand(answer.length ?? 2 * limits.IN_BAND_MAX_BYTES, limits.IN_BAND_BUDGET_BYTES);
    const image = await answer.read();
    if (image.length === 0) throw new Problem("image_url_failed", "The address answers without a body.");
    const content_type = imageType(image);
    const input = { sha256: await sha256Hex(image), bytes: image.length, content_type, filename: lastSegment(url) };
    return await put(env, key, image, input);
  } catch (error) {
    if (!(error instanceof EgressError)) throw error;
    const more = { cause: error, ...(error.reason === "egress_unavailable" ? { retryAfter: 5 } : {}) };
    throw new Problem(egressProblems[error.reason], error.message, more);
  }
}

/** Servers that do not know better name images as bytes, or not at all; the bytes themselves decide afterwards. */
function mayBeImage(type: string | null): boolean {
  if (type === null || type.startsWith("image/")) return true;
  return type === "application/octet-stream" || type === "binary/octet-stream";
}

const egressProblems: Readonly<Record<EgressReason, ProblemCode>> = {
  invalid_address: "image_url_refused",
  address_refused: "image_url_refused",
  unreachable: "image_url_failed",
  timed_out: "image_url_failed",
  too_many_redirects: "image_url_failed",
  too_large: "image_too_large",
  unwanted_type: "unsupported_media_type",
  egress_unavailable: "overloaded",
};

function lastSegment(url: string): string | null {
  const segment = new URL(url).pathname.split("/").at(-1) ?? "";
  try {
    return decodeURIComponent(segment).slice(0, longestFilename) || null;
  } catch {
    // Not percent-encoded UTF-8: as it stands.
    return segment.slice(0, longestFilename);
  }
}

/** Leaves the upload claimed: whoever makes the analysis lets go of it. Reads twice, to hash and to copy, so that no file of 200 MB is ever in memory. */
async function copyUpload(
  env: Environment,
  key: string,
  account: string,
  id: string,
  analysis: string,
): Promise<AnalysisInput> {
  const upload = env.UPLOADS.getByName(id);
  const claim = await upload.claim(account, analysis);
  if (claim === null) throw new Problem("not_found", `There is no upload ${id}.`);
  if (claim.kind === "gone") throw new Problem("gone", `The upload ${id} has expired or was deleted.`);
  if (claim.kind === "used") throw new Problem("upload_used", `The upload ${id} has become ${claim.analysis}.`);
  const from = uploadKey(account, id);
  const head = await env.STORAGE.get(from, { range: { offset: 0, length: headBytes } });
  if (head === null) throw new Problem("upload_not_ready", `Nothing was PUT to the upload ${id} yet.`);
  if (head.size !== claim.bytes) {
    throw new Problem("upload_not_ready", `The upload ${id} has ${head.size} bytes, announced were ${claim.bytes}.`);
  }
  const content_type = imageType(new Uint8Array(await head.arrayBuffer()));
  const sha256 = await hashStored(env, from);
  const stored = await env.STORAGE.get(from);
  if (stored === null) throw new Problem("gone", `The upload ${id} was deleted.`);
  return put(env, key, stored.body, { sha256, bytes: claim.bytes, content_type, filename: claim.filename });
}

async function hashStored(env: Environment, key: string): Promise<string> {
  const stored = await env.STORAGE.get(key);
  if (stored === null) throw new Problem("storage_unavailable", "The upload cannot be read.");
  const digest = new crypto.DigestStream("SHA-256");
  await stored.body.pipeTo(digest);
  return Array.from(new Uint8Array(await digest.digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
