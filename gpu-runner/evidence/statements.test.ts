/**
 * For every code that a check can state, and for every caveat, a file that makes it do so: photographs of ours with
 * something done to them. A code that no file brings about does not compile here.
 */
import { readFileSync } from "node:fs";
import type { Region } from "@omni-iml/shared/analysis";
import sharp, { type Sharp } from "sharp";
import { expect, it, vi } from "vitest";
import { decodeImage } from "../image/decode.ts";
import { verdictOf } from "../result/score.ts";
import { region } from "../testing/finding.ts";
import { resource } from "../testing/photoshop.ts";
import { type CaveatCode, type EvidenceCode, evidenceCodes, undecidable } from "./codes.ts";
import { type Examined, type ExamineInput, examine } from "./evidence.ts";

/** A busy machine takes ten times what an idle one does. */
vi.setConfig({ testTimeout: 180_000 });

const read = (path: string) => readFileSync(new URL(path, import.meta.url));
const photo = read("../../test/samples/landscape.jpg");
const other = await sharp(read("../../test/samples/kitten-authentic.jpg")).resize(600, 406).png().toBuffer();
/** Halved: what its own JPEG left is gone. */
const pristine = await sharp(photo).resize(448, 336).png().toBuffer();
const jpeg = (picture: Buffer, quality: number) => sharp(picture).jpeg({ quality }).toBuffer();
const png = (picture: Sharp) => picture.png().toBuffer();

interface Shown {
  readonly bytes: Buffer;
  /** What the network points at: left, top, width, height. */
  readonly at?: readonly [number, number, number, number];
  readonly more?: Partial<ExamineInput>;
  readonly details: object;
}

function regionAt([left, top, width, height]: readonly [number, number, number, number]): Region {
  const [right, bottom] = [left + width, top + height];
  const polygon: Region["polygon"] = [
    [left, top],
    [right, top],
    [right, bottom],
    [left, bottom],
  ];
  return { ...region, bbox: { x: left, y: top, width, height }, polygon };
}

/** `piece` laid over `picture`, without loss. */
function pasted(picture: Buffer, piece: Buffer, left: number, top: number): Promise<Buffer> {
  return png(sharp(picture).composite([{ input: piece, left, top }]));
}

const cut = (picture: Buffer, left: number, top: number, width: number, height: number) =>
  png(sharp(picture).extract({ left, top, width, height }));

/** A JPEG with a segment of its own behind the start. */
function withSegment(picture: Buffer, marker: number, head: string, content: Buffer): Buffer {
  const payload = Buffer.concat([Buffer.from(head, "latin1"), content]);
  const segment = Buffer.from([0xff, marker, 0, 0]);
  segment.writeUInt16BE(payload.length + 2, 2);
  return Buffer.concat([picture.subarray(0, 2), segment, payload, picture.subarray(2)]);
}

async function withXmp(properties: string): Promise<Buffer> {
  const packet = `<x:xmpmeta><rdf:RDF><rdf:Description ${properties}/></rdf:RDF></x:xmpmeta>`;
  return withSegment(await jpeg(pristine, 90), 0xe1, "http://ns.adobe.com/xap/1.0/\0", Buffer.from(packet));
}

function withExif(ifd0: Record<string, string>, details = {}, gps = {}): Promise<Buffer> {
  return sharp(pristine).withExif({ IFD0: ifd0, IFD2: details, IFD3: gps }).jpeg({ quality: 90 }).toBuffer();
}

/** A directory of EXIF (TIFF, least significant byte first): tag, type (3: SHORT, 4: LONG) and value of each entry. */
function directory(...entries: (readonly [tag: number, type: 3 | 4, value: number])[]): Buffer {
  const bytes = Buffer.alloc(2 + 12 * entries.length + 4);
  bytes.writeUInt16LE(entries.length);
  for (const [i, [tag, type, value]] of entries.entries()) {
    bytes.writeUInt16LE(tag, 2 + 12 * i);
    bytes.writeUInt16LE(type, 4 + 12 * i);
    bytes.writeUInt32LE(1, 6 + 12 * i);
    bytes.writeUInt32LE(value, 10 + 12 * i);
  }
  return bytes;
}

async function withExifBlock(...parts: Buffer[]): Promise<Buffer> {
  const start = Buffer.from("II*\0\b\0\0\0", "latin1");
  return withSegment(await jpeg(pristine, 90), 0xe1, "Exif\0\0", Buffer.concat([start, ...parts]));
}

/** The size that a camera recorded: the first directory names that of the details. */
function withSize(width: number, height: number): Promise<Buffer> {
  return withExifBlock(directory([0x8769, 4, 26]), directory([0xa002, 4, width], [0xa003, 4, height]));
}

/** An empty first directory and a preview in the second. */
function withPreview(preview: Buffer): Promise<Buffer> {
  const first = directory();
  first.writeUInt32LE(14, 2);
  return withExifBlock(first, directory([0x0103, 3, 6], [0x0201, 4, 56], [0x0202, 4, preview.length]), preview);
}

const preview = (picture: Buffer) => sharp(picture).resize(160, 120, { fit: "fill" }).jpeg({ quality: 70 }).toBuffer();

async function withResources(...resources: Buffer[]): Promise<Buffer> {
  return withSegment(await jpeg(pristine, 90), 0xed, "Photoshop 3.0\0", Buffer.concat(resources));
}

const instructions = Buffer.from("FBMD01000a9c0300");
const signed = read("provenance/golden/signed.jpg");
/** Of a piece that is pasted in, and what is found of it. */
const [left, top, width, height] = [160, 80, 144, 144] as const;
const place = [left, top, width, height] as const;

const files: Readonly<Record<EvidenceCode, () => Promise<Shown>>> = {
  modality: async () => ({
    bytes: pristine,
    more: { modality: "rgb" },
    details: { modality: "rgb", jpeg_traces_available: false },
  }),

  no_metadata: async () => ({ bytes: pristine, details: {} }),
  camera: async () => ({ bytes: await withExif({ Make: "Canon", Model: "EOS" }), details: { camera: "Canon EOS" } }),
  orientation_tag: async () => ({ bytes: read("../image/golden/orientation-6.jpg"), details: { orientation: 6 } }),
  editing_software: async () => ({
    bytes: await withExif({ Software: "GIMP 3.0" }),
    details: { software: "GIMP 3.0" },
  }),
  editing_history: async () => ({
    bytes: await withXmp('stEvt:action="saved" stEvt:softwareAgent="Adobe Photoshop 25.0"'),
    details: { programs: ["Adobe Photoshop 25.0"], actions: ["saved"] },
  }),
  photoshop_blocks: async () => ({
    bytes: await withResources(resource(1030, Buffer.alloc(3)), resource(1036, Buffer.alloc(8))),
    details: { blocks: ["JPEG quality", "thumbnail"] },
  }),
  modified_after_capture: async () => ({
    bytes: await withExif({ DateTime: "2025:11:02 10:00:00" }, { DateTimeOriginal: "2025:11:01 09:30:00" }),
    details: { taken: "2025:11:01 09:30:00", modified: "2025:11:02 10:00:00" },
  }),
  dates_contradict: async () => ({
    bytes: await withExif({}, { DateTimeOriginal: "2025:11:01 09:30:00" }, { GPSDateStamp: "2025:10:01" }),
    details: { reason: "gps_differs" },
  }),
  size_differs_from_metadata: async () => ({
    bytes: await withSize(4000, 3000),
    details: { recorded: [4000, 3000], stored: [448, 336] },
  }),
  thumbnail_differs: async () => ({ bytes: await withPreview(await preview(other)), details: {} }),
  thumbnail_agrees: async () => ({ bytes: await withPreview(await preview(pristine)), details: {} }),
  declared_generated: async () => ({
    bytes: await withXmp(
      'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"',
    ),
    details: { source: "xmp", statement: "trainedAlgorithmicMedia" },
  }),
  platform_trace: async () => ({
    bytes: await withResources(
      resource(1028, Buffer.concat([Buffer.from([0x1c, 2, 40, 0, instructions.length]), instructions])),
    ),
    details: { platform: "Facebook or Instagram" },
  }),

  quantization_table_standard: async () => ({ bytes: await jpeg(pristine, 85), details: { quality: 85 } }),
  quantization_table_editor: async () => ({
    bytes: read("compression/golden/photoshop.jpg"),
    details: { software: ["Adobe Photoshop, save for web, high"] },
  }),
  quantization_table_camera: async () => ({
    bytes: read("compression/golden/canon.jpg"),
    details: { cameras: expect.arrayContaining(["Canon PowerShot A720 IS"]) },
  }),
  // Tables that a camera and an editor share tell of neither.
  quantization_table_custom: async () => ({ bytes: read("compression/golden/shared.jpg"), details: {} }),
  double_compression: async () => ({
    bytes: await jpeg(await jpeg(pristine, 60), 92),
    details: { present_quality: 92 },
  }),
  earlier_jpeg: async () => ({
    bytes: await png(sharp(await jpeg(pristine, 65))),
    details: { grid_offset: [0, 0] },
  }),
  cropped_after_compression: async () => ({
    bytes: await cut(await jpeg(pristine, 65), 3, 5, 440, 328),
    details: { grid_offset: [5, 3] },
  }),
  region_compression_differs: async () => ({
    bytes: await jpeg(
      await pasted(pristine, await cut(await jpeg(pristine, 55), 24, 40, width, height), left, top),
      92,
    ),
    at: place,
    details: { region: "r1", image_quality: null },
  }),
  jpeg_ghost: async () => ({
    bytes: await pasted(pristine, await cut(await jpeg(pristine, 55), 24, 40, width, height), left, top),
    at: place,
    details: { region: "r1" },
  }),
  jpeg_grid_shifted: async () => ({
    bytes: await pasted(
      await png(sharp(await jpeg(pristine, 60))),
      await cut(await jpeg(pristine, 60), 27, 44, width, height),
      left,
      top,
    ),
    at: place,
    details: { region: "r1", image_offset: [0, 0], region_offset: [5, 4] },
  }),
  one_compression: async () => ({ bytes: await jpeg(pristine, 90), details: {} }),

  no_content_credentials: async () => ({ bytes: pristine, details: {} }),
  content_credentials_valid: async () => ({ bytes: signed, details: { signer: "Test signer", trusted: false } }),
  content_credentials_invalid: async () => {
    const changed = Buffer.from(signed);
    changed[changed.length - 5000] = (changed[changed.length - 5000] ?? 0) ^ 1;
    return { bytes: changed, details: { signer: "Test signer" } };
  },
  content_credentials_elsewhere: async () => ({
    bytes: await withXmp('dcterms:provenance="https://example.com/manifest.c2pa"'),
    details: { address: "https://example.com/manifest.c2pa" },
  }),

  copied_region: async () => ({
    bytes: await jpeg(await pasted(other, await cut(other, 300, 120, 110, 100), 40, 260), 90),
    at: [40, 260, 110, 100],
    details: { region: "r1" },
  }),
  // Nobody pointed at one of the two.
  similar_places: async () => ({
    bytes: await jpeg(await pasted(other, await cut(other, 300, 120, 110, 100), 40, 260), 90),
    details: {},
  }),
  no_copy_found: async () => ({ bytes: other, details: {} }),

  resampled_image: async () => ({
    bytes: await png(
      sharp(photo).extract({ left: 200, top: 100, width: 420, height: 420 }).resize(588, null, { kernel: "cubic" }),
    ),
    details: {},
  }),
  resampled_region: async () => {
    const part = sharp(photo).extract({ left: 200, top: 100, width: 200, height: 200 });
    const piece = await png(part.resize(280, null, { kernel: "cubic" }));
    return { bytes: await pasted(photo, piece, 560, 320), at: [560, 320, 280, 280], details: { region: "r1" } };
  },
  no_resampling_found: async () => ({ bytes: photo, details: {} }),
};

const screen = { width: 1280, height: 720 } as const;

/**
 * A photograph of a screen that shows the picture: stripes of the three colours and dark rows between its pixels, each of
 * them 2.7 of the camera's, which was held at an angle of three degrees.
 */
async function rephotographed(): Promise<Buffer> {
  const [fine, pitch, angle] = [4, 2.7, 0.05];
  const shown = await sharp(photo).resize(300, 225).removeAlpha().raw().toBuffer();
  const [across, down] = [300 * fine, 225 * fine];
  const lit = Buffer.alloc(across * down * 3);
  for (let y = 0; y < down; y++) {
    for (let x = 0; x < across; x++) {
      const from = 3 * (Math.floor(y / fine) * 300 + Math.floor(x / fine));
      const row = y % fine === fine - 1 ? 0.25 : 1;
      for (let colour = 0; colour < 3; colour++) {
        const light = (shown[from + colour] ?? 0) * row * (x % fine === colour ? 1.6 : 0.35);
        lit[3 * (y * across + x) + colour] = Math.min(255, light + 8);
      }
    }
  }
  const [scale, skew] = [(pitch / fine) * Math.cos(angle), (pitch / fine) * Math.sin(angle)];
  const seen = await sharp(lit, { raw: { width: across, height: down, channels: 3 } })
    .affine(
      [
        [scale, -skew],
        [skew, scale],
      ],
      { interpolator: "bicubic" },
    )
    .png()
    .toBuffer();
  return jpeg(await cut(seen, 100, 80, 600, 460), 85);
}

/** The same for every caveat, with a word of what is told. */
const poor: Readonly<Record<CaveatCode, readonly [made: () => Promise<Buffer>, told: RegExp]>> = {
  small: [async () => jpeg(await png(sharp(pristine).resize(240, 180)), 90), /only 180 pixels/],
  too_small: [async () => jpeg(await png(sharp(pristine).resize(120, 90)), 90), /only 90 pixels.*says nothing/],
  not_jpeg: [async () => pristine, /is a PNG/],
  heavily_compressed: [() => jpeg(pristine, 45), /about quality 45/],
  extremely_compressed: [() => jpeg(pristine, 20), /about quality 20.*says nothing/],
  resized: [
    () =>
      png(
        sharp(photo).extract({ left: 200, top: 100, width: 420, height: 420 }).resize(588, null, { kernel: "cubic" }),
      ),
    /was resized \(a factor of .*1\.4/,
  ],
  enlarged: [
    () => png(sharp(photo).extract({ left: 200, top: 100, width: 120, height: 120 }).resize(480)),
    /no detail beyond [1-4]\d %/,
  ],
  possibly_resized: [async () => jpeg(await png(sharp(photo).resize(1280)), 80), /exactly 1280 pixels/],
  screenshot: [
    () => png(sharp({ create: { ...screen, channels: 3, background: "#eef" } })),
    /is a screenshot \(1280×720\)/,
  ],
  screenshot_like: [() => png(sharp(photo).resize({ ...screen, fit: "fill" })), /as large as a common screen/],
  rephotographed: [rephotographed, /raster lies over the whole image \(\d+ lines/],
  first_of_several: [async () => read("../image/golden/animated.webp"), /holds \d+ images or frames/],
};

it.each(Object.entries(poor))(
  "an input that is %s is told so, and the verdict knows it",
  async (code, [made, told]) => {
    const { input_quality } = await look({ bytes: await made(), more: { wanted: false }, details: {} });
    const caveat = input_quality.find((item) => item.code === code);
    expect(caveat?.summary, `told: ${input_quality.map((item) => item.code).join(", ")}`).toMatch(told);
    const thresholds = { tampered: 0.7, clear: 0.4 };
    if (caveat === undefined) throw new Error("nothing was told");
    const silent = undecidable.has(code) ? "inconclusive" : "no_tampering_detected";
    expect(verdictOf(0.1, thresholds, [caveat])).toBe(silent);
  },
);

it("the page on results names every caveat, and those under which nothing is called clear", () => {
  const page = read("../../docs/interpreting-results.md").toString().replace(/\s+/g, " ");
  const [, harmless = "", weighty = ""] =
    /`input_quality\[\]` says (.*?)With (.*?) the verdict is at best `inconclusive`/.exec(page) ?? [];
  const codes = (text: string) => [...text.matchAll(/`(\w+)`/g)].map(([, code = ""]) => code).toSorted();
  expect(codes(weighty)).toEqual([...undecidable].toSorted());
  expect(codes(harmless)).toEqual(
    Object.keys(poor)
      .filter((code) => !undecidable.has(code))
      .toSorted(),
  );
});

it("takes two places for copies where the network points at both, and for the copy what lies in a region more", async () => {
  const bytes = await jpeg(await pasted(other, await cut(other, 300, 120, 110, 100), 40, 260), 90);
  const pointing = async (...regions: Region[]) => (await look({ bytes, details: {}, more: { regions } })).links;
  const [pasteAt, originalAt] = [regionAt([40, 260, 110, 100]), regionAt([300, 120, 110, 55])];
  const both = await pointing({ ...originalAt, id: "r1" }, { ...pasteAt, id: "r2" });
  expect(both.map(({ region }) => region)).toEqual(["r2"]);
  expect(both[0]?.target[0]?.[0]).toBeLessThan(150);
  // One region around all of it.
  expect(await pointing(regionAt([20, 60, 460, 330]))).toHaveLength(1);
  expect(await pointing(regionAt([420, 20, 60, 60]))).toEqual([]);
});

function look({ bytes, at, more }: Shown): Promise<Examined> {
  return decodeImage(bytes, 1e7).then((image) =>
    examine(
      {
        bytes,
        image,
        regions: at === undefined ? [] : [regionAt(at)],
        modality: "fused",
        domain: "natural",
        trustAnchors: null,
        wanted: true,
        reads: false,
        ...more,
      },
      new AbortController().signal,
    ),
  );
}

it.each(Object.entries(files))("%s", async (code, made) => {
  const shown = await made();
  const { evidence, links } = await look(shown);
  const stated = evidence.find((item) => item.code === code);
  expect(stated?.details, `stated: ${evidence.map((item) => item.code).join(", ")}`).toMatchObject(shown.details);
  expect(stated).toMatchObject(Object.entries(evidenceCodes).find(([known]) => known === code)?.[1] ?? {});
  // Whoever is alarmed is told what it means and what to do; nobody is told that something is authentic.
  expect(stated?.summary).toMatch(/^[A-Zr].*\.$/);
  expect(stated?.meaning).toMatch(/^[A-Z].*\.$/);
  if (/medium|high/.test(stated?.severity ?? "")) expect(stated?.next_step).toMatch(/^[A-Z].*\.$/);
  expect(`${stated?.summary} ${stated?.meaning}`).not.toMatch(/\bis (authentic|genuine)\b/);
  if (code === "copied_region") expect(links.map((link) => link.region)).toEqual(["r1"]);
});
