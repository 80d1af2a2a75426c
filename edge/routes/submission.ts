/** What a client sends to `POST /v1/analyses`, in whichever of its four forms: read within limits, checked, hashed. */
import { type AnalysisOptions, analysisOptions, metadata as metadataSchema } from "@omni-iml/shared/analysis";
import { Problem } from "@omni-iml/shared/problems";
import { jsonSubmission } from "@omni-iml/shared/submission";
import { type RequestWebhook, requestWebhook } from "@omni-iml/shared/webhooks";
import { parseMultipart } from "@remix-run/multipart-parser";
import type { z } from "zod";
import { imageType, longestFilename, type Source } from "../intake/input.ts";
import { invalidField, invalidRequest } from "../middleware/problem-response.ts";
import { sha256Hex } from "../storage/digest.ts";

export interface Submission {
  source: Source;
  options: AnalysisOptions;
  metadata: Record<string, string>;
  webhook: RequestWebhook | null;
}

interface Parts {
  image: Uint8Array;
  filename: string | null;
  options: string | undefined;
  metadata: string | undefined;
  webhook: string | undefined;
}

/** Beside the image, a multipart body holds boundaries, headers, options and metadata. */
const envelope = 128 * 1024;

function tooLarge(limit: number): Problem {
  const mebibytes = Math.floor(limit / 1024 / 1024);
  return new Problem("image_too_large", `At most ${mebibytes} MiB can be sent in a request; use /v1/uploads for more.`);
}

/** What makes a submission the one it is, whatever the form in which it came: the payload of its Idempotency-Key. */
export function payloadHash({ source, options, metadata, webhook }: Submission): Promise<string> {
  const what = source.kind === "body" ? { kind: source.kind, input: source.input } : source;
  const labels = Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1));
  return sha256Hex(JSON.stringify([what, options, labels, webhook]));
}

/** The size that the body declares, checked against `limit`; `null` where it declares none. */
export function declaredLength(request: Request, limit: number): number | null {
  const header = request.headers.get("content-length");
  if (header === null) return null;
  const length = Number(header);
  if (length > limit + envelope) throw tooLarge(limit);
  return length;
}

/** How much memory to set aside for a body. One of unknown length is in memory twice while it is put together. */
export function memoryFor(request: Request, declared: number | null, limit: number): number {
  return declared ?? 2 * (mediaTypeOf(request) === "application/json" ? envelope : limit + envelope);
}

function mediaTypeOf(request: Request): string {
  const contentType = request.headers.get("content-type") ?? "application/octet-stream";
  return contentType.split(";")[0]?.trim().toLowerCase() ?? "";
}

/** Reads the body into one buffer, giving up with `tooLong` as soon as it is longer than `most`. */
async function readBody(
  request: Request,
  declared: number | null,
  most: number,
  tooLong: Problem,
): Promise<Uint8Array> {
  if (!request.body) return new Uint8Array();
  // The platform reads no more than was declared.
  if (declared !== null && declared > most) throw tooLong;
  if (declared !== null) return new Uint8Array(await request.arrayBuffer());
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body) {
    if (!(chunk instanceof Uint8Array)) throw new Error("a request body yields bytes");
    length += chunk.length;
    if (length > most) throw tooLong;
    chunks.push(chunk);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

function parseJson<Schema extends z.ZodType>(
  text: string | undefined,
  schema: Schema,
  where: string,
): z.output<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(text ?? "{}");
  } catch (cause) {
    throw invalidField(where, "is not JSON", cause);
  }
  const result = schema.safeParse(value);
  if (!result.success) throw invalidRequest(result.error, where);
  return result.data;
}

/** Cuts a multipart body into its fields; the image stays where it is in the buffer. */
function readMultipart(body: Uint8Array, contentType: string, limit: number): Parts {
  const boundary = /;\s*boundary=(?:"([^"]+)"|([^\s;]+))/i.exec(contentType)?.slice(1).find(Boolean);
  if (boundary === undefined) throw invalidField("content-type", "multipart/form-data without a boundary");
  const fields = new Map<string, { bytes: Uint8Array; filename: string | null }>();
  try {
    for (const part of parseMultipart(body, {
      boundary,
      maxFileSize: body.length,
      maxTotalSize: body.length,
      maxParts: 8,
    })) {
      const name = part.name ?? "";
      if (name !== "image" && name !== "options" && name !== "metadata" && name !== "webhook") {
        throw invalidField(name === "" ? "body" : name, "is not a field of this request");
      }
      if (fields.has(name)) throw invalidField(name, "is there more than once");
      fields.set(name, {
        bytes: part.content[0] ?? new Uint8Array(),
        filename: part.filename?.slice(0, longestFilename) ?? null,
      });
    }
  } catch (cause) {
    if (cause instanceof Problem) throw cause;
    // The parser has an error of its own, and lets those of decoders through: headers that are not UTF-8.
    throw invalidField("body", "cannot be read as multipart/form-data", cause);
  }
  const image = fields.get("image");
  if (image === undefined) throw new Problem("empty_body", "The multipart body has no field `image`.");
  if (image.bytes.length > limit) throw tooLarge(limit);
  const text = (name: string) => {
    const field = fields.get(name);
    return field && new TextDecoder().decode(field.bytes);
  };
  return {
    image: image.bytes,
    filename: image.filename,
    options: text("options"),
    metadata: text("metadata"),
    webhook: text("webhook"),
  };
}

/** Reads a raw body; options, metadata and webhook come as query parameters then. */
function readRaw(body: Uint8Array, query: URLSearchParams, limit: number): Parts {
  if (body.length > limit) throw tooLarge(limit);
  return {
    image: body,
    filename: null,
    options: query.get("options") ?? undefined,
    metadata: query.get("metadata") ?? undefined,
    webhook: query.get("webhook") ?? undefined,
  };
}

function checkQuery(query: URLSearchParams, known: readonly string[]): void {
  for (const name of new Set(query.keys())) {
    if (!known.includes(name)) throw invalidField(name, "is not a parameter of this request");
    if (query.getAll(name).length > 1) throw invalidField(name, "is there more than once");
  }
}

/** Reads, checks and hashes what was sent. `declared` is the body's size as `declaredLength` found it. */
export async function readSubmission(request: Request, declared: number | null, limit: number): Promise<Submission> {
  const mediaType = mediaTypeOf(request);
  const multipart = mediaType === "multipart/form-data";
  const json = mediaType === "application/json";
  const query = new URL(request.url).searchParams;
  checkQuery(query, multipart || json ? [] : ["options", "metadata", "webhook"]);
  if (declared === 0 || request.body === null) throw new Problem("empty_body", "The request has no body.");
  if (!multipart && !json && !mediaType.startsWith("image/") && mediaType !== "application/octet-stream") {
    const detail = `A body of type ${mediaType} is not an image; send multipart/form-data or an image type.`;
    throw new Problem("unsupported_media_type", detail);
  }
  const body = json
    ? await readBody(request, declared, envelope, invalidField("body", `is longer than ${envelope} bytes`))
    : await readBody(request, declared, limit + envelope, tooLarge(limit));
  if (body.length === 0) throw new Problem("empty_body", "The request has no body.");
  if (json) return readJson(body);
  const parts = multipart
    ? readMultipart(body, request.headers.get("content-type") ?? "", limit)
    : readRaw(body, query, limit);
  const options = parseJson(parts.options, analysisOptions, "options");
  const metadata = parseJson(parts.metadata, metadataSchema, "metadata");
  const webhook = parts.webhook === undefined ? null : parseJson(parts.webhook, requestWebhook, "webhook");
  if (parts.image.length === 0) throw new Problem("empty_body", "The image has no bytes.");
  const content_type = imageType(parts.image);
  const sha256 = await sha256Hex(parts.image);
  const input = { sha256, bytes: parts.image.length, content_type, filename: parts.filename };
  return { source: { kind: "body", image: parts.image, input }, options, metadata, webhook };
}

function readJson(body: Uint8Array): Submission {
  const sent = parseJson(new TextDecoder().decode(body), jsonSubmission, "body");
  return {
    source: "image_url" in sent ? { kind: "address", url: sent.image_url } : { kind: "upload", id: sent.upload_id },
    options: sent.options ?? analysisOptions.parse({}),
    metadata: sent.metadata ?? {},
    webhook: sent.webhook ?? null,
  };
}
