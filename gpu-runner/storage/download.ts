/** Reading the input by its presigned URL. */
import { createHash } from "node:crypto";
import { messageOf } from "@omni-iml/shared/message-of";
import { Problem } from "@omni-iml/shared/problems";
import { attempts, refuseStatus } from "./attempts.ts";

export interface Expected {
  readonly bytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/**
 * The input's bytes, hashed while they come in.
 *
 * @throws Problem `input_changed` where they are not the expected ones, `input_unavailable` where they cannot be had.
 */
export async function download(url: string, expected: Expected, signal: AbortSignal): Promise<Uint8Array> {
  try {
    return await attempts(signal, (limited) => downloadOnce(url, expected, limited));
  } catch (error) {
    if (error instanceof Problem || signal.aborted) throw error;
    const reason = messageOf(error);
    throw new Problem("input_unavailable", `The stored input could not be read: ${reason}.`, { cause: error });
  }
}

async function downloadOnce(url: string, expected: Expected, signal: AbortSignal): Promise<Uint8Array> {
  const response = await fetch(url, { signal, redirect: "error" });
  refuseStatus(response);
  const hash = createHash("sha256");
  const bytes = new Uint8Array(expected.bytes);
  let length = 0;
  for await (const chunk of response.body ?? []) {
    if (length + chunk.length > bytes.length) throw changed(`is longer than the ${expected.bytes} bytes accepted`);
    bytes.set(chunk, length);
    hash.update(chunk);
    length += chunk.length;
  }
  if (length < bytes.length) throw changed(`has ${length} bytes instead of ${expected.bytes}`);
  if (hash.digest("hex") !== expected.sha256) throw changed("has another SHA-256 than was accepted");
  return bytes;
}

function changed(how: string): Problem {
  return new Problem("input_changed", `The stored input ${how}.`);
}
