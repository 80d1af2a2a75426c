/**
 * `npm run evaluate:evidence`: how often each check besides the network says what, on authentic and on manipulated
 * pictures, and what the checks cost. No network runs: where it would have pointed is given by the masks of manipulated
 * pictures, and on authentic ones by a place that it might have pointed at wrongly.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Region } from "@omni-iml/shared/analysis";
import { messageOf } from "@omni-iml/shared/message-of";
import sharp from "sharp";
import { type Examined, examine } from "../../gpu-runner/evidence/evidence.ts";
import { type DecodedImage, decodeImage } from "../../gpu-runner/image/decode.ts";
import type { GreyMap } from "../../gpu-runner/image/encode.ts";
import { displayedSize } from "../../gpu-runner/image/orientation.ts";
import { findRegions } from "../../gpu-runner/result/regions.ts";
import { readImageSet } from "./image-set.ts";
import { markdown } from "./table.ts";

const usage = `npm run evaluate:evidence -- [--authentic FOLDER …] [--set DIR …] [--limit N]

  --authentic FOLDER  authentic pictures, searched with its subfolders; those whose metadata names a camera and no editor
                      are told apart from the rest
  --set DIR           folder with index.csv, images and masks
  --limit N           only N pictures of each folder, spread over all of it`;

/** Of a region's area, as the release has it. */
const smallestRegion = 0.0005;
const mostPixels = 100_000_000;

interface Examination {
  readonly name: string;
  readonly group: string;
  readonly examined: Examined;
  readonly megapixels: number;
  /** Of processor time: a machine that does something else at the same time changes it little. */
  readonly seconds: number;
}

interface Picture {
  readonly path: string;
  readonly group: string;
  readonly maskPath: string | null;
  readonly domain: "natural" | "document" | "face" | "scene_text";
}

function spread<Item>(items: readonly Item[], limit: number): Item[] {
  if (items.length <= limit) return [...items];
  return Array.from({ length: limit }, (_, i) => items[Math.floor((i * items.length) / limit)]).filter(
    (item) => item !== undefined,
  );
}

async function picturesIn(folder: string, limit: number): Promise<Picture[]> {
  const names = await readdir(folder, { recursive: true });
  const images = names.filter((name) => /\.(jpe?g|png|tiff?|webp|heic|avif)$/i.test(name)).sort();
  return spread(images, limit).map((name) => ({
    path: join(folder, name),
    group: folder.split("/").filter(Boolean).slice(-2).join("/"),
    maskPath: null,
    domain: "natural",
  }));
}

/** A place that depends on the picture's size alone: an ellipse of a fiftieth to a tenth of the area. */
function someplace({ width, height }: { width: number; height: number }): GreyMap {
  const seed = (width * 31 + height * 17) % 97;
  const [rx, ry] = [width * (0.08 + 0.001 * seed), height * (0.08 + 0.001 * (97 - seed))];
  const [cx, cy] = [width * (0.25 + (0.5 * (seed % 7)) / 6), height * (0.25 + (0.5 * (seed % 5)) / 4)];
  const data = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1) data[y * width + x] = 255;
    }
  }
  return { data, width, height };
}

async function regionsOf({ maskPath }: Picture, image: DecodedImage): Promise<Region[]> {
  const shown = displayedSize(image.width, image.height, image.orientation);
  if (maskPath === null) return findRegions(someplace(shown), 0.5, smallestRegion);
  const data = await sharp(maskPath)
    .resize(shown.width, shown.height, { fit: "fill", kernel: "nearest" })
    .toColourspace("b-w")
    .raw()
    .toBuffer();
  return findRegions({ data, ...shown }, 0.5, smallestRegion);
}

async function look(picture: Picture): Promise<Examination> {
  const bytes = await readFile(picture.path);
  const image = await decodeImage(bytes, mostPixels);
  const regions = await regionsOf(picture, image);
  const start = process.cpuUsage();
  const about = { regions, modality: "fused", domain: picture.domain, wanted: true, reads: false } as const;
  const examined = await examine({ bytes, image, trustAnchors: null, ...about }, new AbortController().signal);
  const { user, system } = process.cpuUsage(start);
  const codes = new Set(examined.evidence.map(({ code }) => code));
  const original = codes.has("camera") && !codes.has("editing_software") && !codes.has("photoshop_blocks");
  const group = picture.maskPath === null && original ? `${picture.group}, as a camera wrote it` : picture.group;
  const megapixels = (image.width * image.height) / 1e6;
  return { name: picture.path, group, examined, megapixels, seconds: (user + system) / 1e6 };
}

function percent(count: number, all: number): string {
  return all === 0 ? "" : `${((100 * count) / all).toFixed(1)} %`;
}

function report(looked: readonly Examination[]): string {
  const groups = [...new Set(looked.map(({ group }) => group))].sort();
  const of = (group: string) => looked.filter((one) => one.group === group);
  const rows = (codesOf: (examined: Examined) => readonly string[]) => {
    const codes = [...new Set(looked.flatMap(({ examined }) => codesOf(examined)))].sort();
    return codes.map((code) => [
      code,
      ...groups.map((group) =>
        percent(of(group).filter(({ examined }) => codesOf(examined).includes(code)).length, of(group).length),
      ),
    ]);
  };
  const severe = (examined: Examined, severities: RegExp) =>
    examined.evidence.filter(({ severity }) => severities.test(severity)).map(({ code }) => code);
  const alarmed = (group: string) => of(group).filter(({ examined }) => severe(examined, /medium|high/).length > 0);
  const cost = looked.reduce((sum, { seconds }) => sum + seconds, 0);
  const megapixels = looked.reduce((sum, one) => sum + one.megapixels, 0);
  return [
    markdown(
      ["", ...groups],
      [
        ["pictures", ...groups.map((group) => String(of(group).length))],
        ["**any alarm**", ...groups.map((group) => percent(alarmed(group).length, of(group).length))],
        ...rows((examined) => severe(examined, /medium|high/)).map(([code, ...rest]) => [`alarm: ${code}`, ...rest]),
        ...rows((examined) => severe(examined, /low/)),
        ...rows(({ input_quality }) => input_quality.map(({ code }) => `caveat: ${code}`)),
        ...rows(({ degraded_checks }) => degraded_checks.map(({ check }) => `not done: ${check}`)),
      ],
    ),
    "",
    `${looked.length} pictures, ${megapixels.toFixed(0)} megapixels: ${cost.toFixed(0)} s of one core, ${(cost / looked.length).toFixed(2)} s a picture, ${(cost / megapixels).toFixed(2)} s a megapixel`,
  ].join("\n");
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      authentic: { type: "string", multiple: true, default: [] },
      set: { type: "string", multiple: true, default: [] },
      limit: { type: "string", default: "Infinity" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help || values.authentic.length + values.set.length === 0) {
    console.log(usage);
    return values.help ? 0 : 1;
  }
  const limit = Number(values.limit);
  const pictures: Picture[] = [];
  for (const folder of values.authentic) pictures.push(...(await picturesIn(folder, limit)));
  for (const folder of values.set) {
    const images = spread(await readImageSet(folder), limit);
    pictures.push(
      ...images.map(({ path, maskPath, domain, tampered, kind }): Picture => {
        const copied = /copy/i.test(kind) ? ", copy-move" : "";
        return { path, maskPath, domain, group: `${tampered ? "manipulated" : "authentic"} ${domain}${copied}` };
      }),
    );
  }
  const looked: Examination[] = [];
  for (const picture of pictures) {
    try {
      const one = await look(picture);
      looked.push(one);
      const alarms = one.examined.evidence.filter(({ severity }) => /medium|high/.test(severity));
      if (picture.maskPath === null) {
        for (const { code, summary } of alarms) console.error(`${one.name}: ${code}: ${summary}`);
      }
    } catch (error) {
      console.error(`${picture.path}: ${messageOf(error)}`);
    }
  }
  console.log(report(looked));
  return 0;
}

process.exitCode = await main();
