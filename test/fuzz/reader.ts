/**
 * A process that reads files as edge and runner do before the model: sniffing, header, limits, decoding, metadata. It is
 * told one file after the other and says how each ended; whoever feeds it sees when it crashes, hangs or grows.
 */
import { Problem } from "@omni-iml/shared/problems";
import sharp from "sharp";
import { nameOther, sniffImage } from "../../edge/analysis/sniff.ts";
import { readMetadata } from "../../gpu-runner/evidence/metadata/read.ts";
import { compareThumbnail } from "../../gpu-runner/evidence/metadata/thumbnail.ts";
import { decodeImage } from "../../gpu-runner/image/decode.ts";
import { readHeader } from "../../gpu-runner/image/header.ts";

/** As the runner's process has it. */
sharp.concurrency(1);
sharp.cache(false);

/** What a small machine would allow, and more than any file of the corpus honestly has. */
const maxPixels = 4_000_000;

export type Outcome = { end: "result" } | { end: "problem"; code: string } | { end: "error"; stack: string };

async function read(bytes: Buffer): Promise<Outcome> {
  try {
    if (sniffImage(bytes) === null) nameOther(bytes);
    const { width, height, frames } = readHeader(bytes);
    if (![width, height, frames].every((value) => Number.isSafeInteger(value) && value > 0)) {
      throw new Error(`the header says ${width}×${height}, ${frames} frames`);
    }
    const image = await decodeImage(bytes, maxPixels);
    if (image.pixels.length !== image.width * image.height * 3) throw new Error("pixels are missing");
    if (image.qtable.length !== 64) throw new Error("the table has not 64 entries");
    const { metadata } = await readMetadata(image.metadata);
    // The runner lists a preview that cannot be read as a check that did not run.
    if (metadata.thumbnail !== null) await compareThumbnail(metadata.thumbnail, image).catch(() => undefined);
    return { end: "result" };
  } catch (error) {
    if (error instanceof Problem && error.code !== "internal_error") return { end: "problem", code: error.code };
    return { end: "error", stack: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

process.on("message", (message: { bytes: Uint8Array }) => {
  void read(Buffer.from(message.bytes)).then((outcome) =>
    // The most that it ever was: what a bomb took and gave back counts.
    process.send?.({ outcome, memory: process.resourceUsage().maxRSS * 1024 }),
  );
});
process.on("disconnect", () => process.exit(0));
process.send?.({ ready: true });
