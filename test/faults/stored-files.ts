/** What the stand-in runner stores: it follows from the input alone, so that whoever checks knows every byte. */
import { createHash } from "node:crypto";
import { type OutputName, outputContentTypes } from "@omni-iml/shared/analysis";

export const sha256 = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex");

/** The file `name` of the image with this SHA-256: some kilobytes, so that half of it can get lost. */
export function storedFile(name: OutputName, image: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(`${name} of ${image} `.repeat(40), "latin1"));
}

/** How a stored file stands in the record. */
export function describeFile(name: OutputName, content: Uint8Array) {
  return { bytes: content.length, sha256: sha256(content), content_type: outputContentTypes[name] };
}

/** In an image's bytes: the stand-in runner finds it corrupt. */
export const corruptMark = "corrupt-for-the-test";
