/**
 * Makes known-tables.json: which cameras' and which editors' files have which quantization tables.
 *
 *   node gpu-runner/evidence/compression/learn-tables.ts FOLDER… > gpu-runner/evidence/compression/known-tables.json
 *
 * Only tables that are none of libjpeg's are learned, and from each file only what it says of itself: the camera where no
 * editor has written after it, the editor where one has. Known ones are kept.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "@omni-iml/shared/message-of";
import sharp from "sharp";
import { sniffFormat } from "../../image/format.ts";
import { readJpegStructure } from "../../image/jpeg.ts";
import { editorNamed } from "../metadata/editors.ts";
import { readMetadata } from "../metadata/read.ts";
import { originOf, tableKey } from "./tables.ts";

const learned = new Map<string, { cameras: Set<string>; editors: Set<string> }>();
const before: unknown = JSON.parse(readFileSync(new URL("known-tables.json", import.meta.url), "utf8"));
for (const key of Object.keys(before ?? {})) learned.set(key, { cameras: new Set(), editors: new Set() });

for (const folder of process.argv.slice(2)) {
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (!/\.jpe?g$/i.test(name)) continue;
    try {
      const bytes = readFileSync(join(folder, name));
      if (sniffFormat(bytes) !== "jpeg") continue;
      const jpeg = readJpegStructure(bytes);
      if (jpeg.quality !== null) continue;
      const { exif = null, xmp = null, iptc = null } = await sharp(bytes).metadata();
      const { metadata } = await readMetadata({ exif, xmp, iptc, comments: [] });
      const editor = [...metadata.programs, metadata.software ?? ""].findLast(
        (program) => editorNamed(program) !== null,
      );
      if (editor === undefined && (metadata.camera === null || metadata.photoshop.length > 0)) continue;
      const key = tableKey(jpeg);
      const entry = learned.get(key) ?? { cameras: new Set(), editors: new Set() };
      const { cameras, editors } = originOf(jpeg);
      for (const camera of cameras) entry.cameras.add(camera);
      for (const one of editors) entry.editors.add(one);
      if (editor !== undefined) entry.editors.add(editorNamed(editor) ?? "");
      else if (metadata.camera !== null) entry.cameras.add(metadata.camera);
      learned.set(key, entry);
    } catch (error) {
      process.stderr.write(`${name}: ${messageOf(error)}\n`);
    }
  }
}
const known: Record<string, { cameras?: string[]; editors?: string[] }> = {};
for (const [key, { cameras, editors }] of [...learned].sort(([a], [b]) => a.localeCompare(b))) {
  const old = (before as Record<string, { cameras?: string[]; editors?: string[] }>)[key];
  const all = (names: Set<string>, kept: readonly string[] = []) => [...new Set([...kept, ...names])].sort();
  const [c, e] = [all(cameras, old?.cameras), all(editors, old?.editors)];
  known[key] = { ...(c.length > 0 && { cameras: c }), ...(e.length > 0 && { editors: e }) };
}
process.stdout.write(`${JSON.stringify(known, null, 1)}\n`);
