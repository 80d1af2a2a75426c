/** Images that are made to hurt: bombs, lies, loops, polyglots; and strange ones that are honest. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { crc32, deflateSync } from "node:zlib";
import sharp, { type Sharp } from "sharp";
import { repository } from "../../infra/local/stack.ts";

export interface HostileImage {
  name: string;
  bytes: Buffer;
  /** What it has to end in: `result`, `problem`, or either. */
  ends: "result" | "problem" | "any";
}

/** The runner's own golden files: every format, every orientation, honest. */
export function goldenImages(): HostileImage[] {
  const folder = join(repository, "gpu-runner/image/golden");
  return readdirSync(folder)
    .filter((name) => !name.endsWith(".json") && !name.endsWith(".py"))
    .map((name) => ({ name, bytes: readFileSync(join(folder, name)), ends: "any" }));
}

const u32 = (value: number) => {
  const four = Buffer.alloc(4);
  four.writeUInt32BE(value >>> 0);
  return four;
};
const u16 = (value: number) => Buffer.from([(value >> 8) & 0xff, value & 0xff]);

function pngChunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  return Buffer.concat([u32(data.length), body, u32(crc32(body))]);
}

function png(width: number, height: number, depth: number, colour: number, chunks: readonly Buffer[]): Buffer {
  const header = Buffer.concat([u32(width), u32(height), Buffer.from([depth, colour, 0, 0, 0])]);
  return Buffer.concat([
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
    pngChunk("IHDR", header),
    ...chunks,
    pngChunk("IEND", Buffer.alloc(0)),
  ]);
}

/** Megabytes of zeros, compressed to kilobytes. */
const bomb = (megabytes: number) => deflateSync(Buffer.alloc(megabytes * 2 ** 20), { level: 9 });

function segment(marker: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0xff, marker]), u16(body.length + 2), body]);
}

/** A JPEG with segments put behind its first marker. */
function withSegments(jpeg: Buffer, ...segments: Buffer[]): Buffer {
  return Buffer.concat([jpeg.subarray(0, 2), ...segments, jpeg.subarray(2)]);
}

/** A JPEG whose frame claims another size. */
function claiming(jpeg: Buffer, width: number, height: number): Buffer {
  const made = Buffer.from(jpeg);
  for (let at = 2; at < made.length - 9; at += 2 + made.readUInt16BE(at + 2)) {
    const marker = made[at + 1] ?? 0;
    if (marker >= 0xc0 && marker <= 0xc2) {
      made.writeUInt16BE(height, at + 5);
      made.writeUInt16BE(width, at + 7);
      return made;
    }
  }
  throw new Error("the JPEG has no frame");
}

/** An EXIF block of `count` tags in one directory, whose next directory is at `next`. */
function exif(count: number, next: number): Buffer {
  const entries = Array.from({ length: count }, (_, n) => Buffer.concat([u16(n % 65_536), u16(4), u32(1), u32(n)]));
  const head = Buffer.from("Exif\0\0MM\0*\0\0\0\x08", "latin1");
  return Buffer.concat([head, u16(count), ...entries, u32(next)]);
}

/** A TIFF of one directory with these long-valued tags. */
function tiff(tags: readonly (readonly [tag: number, value: number, count?: number])[], next = 0, tail = 0): Buffer {
  const entries = tags.map(([tag, value, count = 1]) => Buffer.concat([u16(tag), u16(4), u32(count), u32(value)]));
  const head = Buffer.from("MM\0*\0\0\0\x08", "latin1");
  return Buffer.concat([head, u16(tags.length), ...entries, u32(next), Buffer.alloc(tail)]);
}

function box(type: string, ...content: Buffer[]): Buffer {
  const body = Buffer.concat(content);
  return Buffer.concat([u32(body.length + 8), Buffer.from(type, "latin1"), body]);
}

/** Repeats the scans of a progressive JPEG behind its last one. */
function manyScans(jpeg: Buffer, times: number): Buffer {
  const last = jpeg.lastIndexOf(Buffer.from([0xff, 0xda]));
  const scan = jpeg.subarray(last, jpeg.length - 2);
  return Buffer.concat([jpeg.subarray(0, -2), ...Array.from({ length: times }, () => scan), jpeg.subarray(-2)]);
}

/** Where the first `needle` in `file` lies, plus `offset`, `value` is written as 32 bits. */
function overwrite(file: Buffer, needle: string, offset: number, value: number): Buffer {
  const made = Buffer.from(file);
  const at = made.indexOf(needle, 0, "latin1");
  if (at < 0) throw new Error(`the file has no ${needle}`);
  made.writeUInt32BE(value >>> 0, at + offset);
  return made;
}

export async function hostileImages(): Promise<HostileImage[]> {
  const noise = sharp({
    create: {
      width: 120,
      height: 90,
      channels: 3,
      background: "#888",
      noise: { type: "gaussian", mean: 128, sigma: 30 },
    },
  });
  const grey = await noise.clone().png().toBuffer();
  const as = (make: (image: Sharp) => Sharp) => make(sharp(grey)).toBuffer();
  const [jpeg, progressive, webp, avif, plainTiff] = await Promise.all([
    as((image) => image.jpeg()),
    as((image) => image.jpeg({ progressive: true })),
    as((image) => image.webp()),
    as((image) => image.avif({ effort: 0 })),
    as((image) => image.tiff({ compression: "deflate" })),
  ]);
  const cmyk = await as((image) => image.toColourspace("cmyk").jpeg());
  // Frames that are alike would become one, and no animation.
  const frames = Buffer.concat(Array.from({ length: 40 }, (_, n) => Buffer.alloc(100 * 100 * 3, 6 * n)));
  const animated = await sharp(frames, {
    raw: { width: 100, height: 100 * 40, channels: 3, pageHeight: 100 },
  })
    .webp({ loop: 0 })
    .toBuffer();
  const deep = await sharp(new Uint16Array(100 * 100 * 3).fill(40_000), {
    raw: { width: 100, height: 100, channels: 3 },
  })
    .toColourspace("rgb16")
    .png()
    .toBuffer();
  const heic = readFileSync(join(repository, "gpu-runner/image/golden/photo.heic"));
  const idat = pngChunk("IDAT", deflateSync(Buffer.alloc(100 * (100 * 3 + 1), 7)));
  const problem = (name: string, bytes: Buffer): HostileImage => ({ name, bytes, ends: "problem" });
  const result = (name: string, bytes: Buffer): HostileImage => ({ name, bytes, ends: "result" });
  const any = (name: string, bytes: Buffer): HostileImage => ({ name, bytes, ends: "any" });
  const loop = tiff(
    [
      [256, 100],
      [257, 100],
    ],
    8,
  );

  return [
    // Bombs
    problem("png claims 60,000 × 60,000", png(60_000, 60_000, 8, 2, [pngChunk("IDAT", bomb(8))])),
    problem("png claims 2^31 - 1 squared", png(0x7fffffff, 0x7fffffff, 8, 6, [pngChunk("IDAT", bomb(1))])),
    any("png of 100 × 100 that inflates to 400 MB", png(100, 100, 8, 2, [pngChunk("IDAT", bomb(400))])),
    any(
      "png with a zTXt of 400 MB",
      png(100, 100, 8, 2, [pngChunk("zTXt", Buffer.concat([Buffer.from("a\0\0"), bomb(400)])), idat]),
    ),
    any(
      "png with an iCCP of 400 MB",
      png(100, 100, 8, 2, [pngChunk("iCCP", Buffer.concat([Buffer.from("a\0\0"), bomb(400)])), idat]),
    ),
    any(
      "png with an iTXt of 200 MB",
      png(100, 100, 8, 2, [pngChunk("iTXt", Buffer.concat([Buffer.from("a\0\x01\0\0\0"), bomb(200)])), idat]),
    ),
    any(
      "png with 20,000 text chunks",
      png(100, 100, 8, 2, [...Array.from({ length: 20_000 }, () => pngChunk("tEXt", Buffer.from("a\0b"))), idat]),
    ),
    any(
      "png with 2^31 frames",
      png(100, 100, 8, 2, [pngChunk("acTL", Buffer.concat([u32(0x7fffffff), u32(0)])), idat]),
    ),
    any(
      "png, one bit, 1,600 × 1,600 of nothing",
      png(1600, 1600, 1, 0, [pngChunk("IDAT", deflateSync(Buffer.alloc(1600 * 201)))]),
    ),
    problem("jpeg claims 65,500 × 65,500", claiming(jpeg, 65_500, 65_500)),
    any("jpeg claims 1,900 × 1,900", claiming(jpeg, 1_900, 1_900)),
    any("jpeg of 3,000 scans", manyScans(progressive, 3_000)),
    any("jpeg of 3,000 scans that claims 1,900 × 1,900", manyScans(claiming(progressive, 1_900, 1_900), 3_000)),
    problem(
      "webp claims 16,383 × 16,383",
      (() => {
        const made = Buffer.from(webp);
        made.writeUInt16LE(0x3fff, 26);
        made.writeUInt16LE(0x3fff, 28);
        return made;
      })(),
    ),
    problem(
      "webp of 40 frames on a canvas of 2^24 squared",
      (() => {
        const made = Buffer.from(animated);
        if (made.toString("latin1", 12, 16) !== "VP8X") throw new Error("the animation has no canvas");
        return made.fill(0xff, 24, 30);
      })(),
    ),
    problem(
      "tiff claims 2^32 - 1 squared",
      tiff([
        [256, 0xffffffff],
        [257, 0xffffffff],
        [258, 8],
        [259, 8],
        [273, 8],
        [278, 0xffffffff],
        [279, 0xffffffff],
      ]),
    ),
    problem(
      "tiff of 1,900 × 1,900 in strips of 4 GB that are not there",
      tiff(
        [
          [256, 1900],
          [257, 1900],
          [258, 8],
          [259, 8],
          [262, 1],
          [273, 200],
          [277, 1],
          [278, 1900],
          [279, 0xfffffff0],
        ],
        0,
        300,
      ),
    ),
    problem(
      "tiff of 100 × 100 with 65,535 samples a pixel",
      tiff(
        [
          [256, 100],
          [257, 100],
          [258, 8],
          [259, 1],
          [262, 2],
          [273, 200],
          [277, 65_535],
          [278, 100],
          [279, 30_000],
        ],
        0,
        30_000,
      ),
    ),
    any("tiff whose directory is its own next one", loop),
    any(
      "tiff whose strip inflates to 400 MB",
      Buffer.concat([
        tiff([
          [256, 100],
          [257, 100],
          [258, 8],
          [259, 8],
          [262, 1],
          [273, 122],
          [277, 1],
          [278, 100],
          [279, bomb(400).length],
        ]),
        bomb(400),
      ]),
    ),
    problem("avif claims 2^31 squared", overwrite(overwrite(avif, "ispe", 8, 0x7fffffff), "ispe", 12, 0x7fffffff)),
    problem("avif claims 70 × 70 but is larger", overwrite(overwrite(avif, "ispe", 8, 70), "ispe", 12, 70)),
    problem("heic claims 2^31 squared", overwrite(overwrite(heic, "ispe", 8, 0x7fffffff), "ispe", 12, 0x7fffffff)),
    problem(
      "heic of boxes without end",
      Buffer.concat([
        box("ftyp", Buffer.from("heic\0\0\0\0heic")),
        ...Array.from({ length: 2000 }, () => box("meta", u32(0), box("iprp", box("ipco")))),
      ]),
    ),
    problem(
      "avif whose boxes have length 0 and 1",
      Buffer.concat([
        box("ftyp", Buffer.from("avif\0\0\0\0avif")),
        u32(1),
        Buffer.from("meta"),
        Buffer.alloc(8),
        u32(0),
        Buffer.from("meta"),
      ]),
    ),
    // Metadata
    any("jpeg with 10,000 EXIF tags", withSegments(jpeg, segment(0xe1, exif(5_000, 0)), segment(0xe1, exif(5_000, 0)))),
    any("jpeg with EXIF that leads to itself", withSegments(jpeg, segment(0xe1, exif(3, 8)))),
    any(
      "jpeg with 10,000 comments",
      withSegments(jpeg, ...Array.from({ length: 10_000 }, () => segment(0xfe, Buffer.from("a")))),
    ),
    any(
      "jpeg with 300 quantization segments of 64 KB",
      withSegments(jpeg, ...Array.from({ length: 300 }, () => segment(0xdb, Buffer.alloc(65 * 1000)))),
    ),
    any(
      "jpeg with 255 broken ICC parts",
      withSegments(
        jpeg,
        ...Array.from({ length: 255 }, (_, n) =>
          segment(0xe2, Buffer.from(`ICC_PROFILE\0${String.fromCharCode(n, 255)}rubbish`, "latin1")),
        ),
      ),
    ),
    result(
      "jpeg with orientation 9",
      withSegments(
        jpeg,
        segment(
          0xe1,
          Buffer.concat([
            Buffer.from("Exif\0\0MM\0*\0\0\0\x08", "latin1"),
            u16(1),
            u16(0x112),
            u16(3),
            u32(1),
            u16(9),
            u16(0),
            u32(0),
          ]),
        ),
      ),
    ),
    // Polyglots
    result("jpeg and ZIP", Buffer.concat([jpeg, Buffer.from("PK\x05\x06".padEnd(22, "\0"), "latin1")])),
    result("jpeg and HTML", withSegments(jpeg, segment(0xfe, Buffer.from("<script>alert(1)</script>")))),
    result("png and PDF", Buffer.concat([grey, Buffer.from("%PDF-1.7\n%%EOF")])),
    problem("PDF and jpeg", Buffer.concat([Buffer.from("%PDF-1.7\n"), jpeg])),
    problem("GIF that is JavaScript", Buffer.from(`${"GIF89a/*".padEnd(100, "x")}*/=1;alert(1)`)),
    problem(
      "SVG that fetches",
      Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'),
    ),
    problem(
      "ImageMagick script with a PNG's first bytes",
      Buffer.from('\x89PNG\r\n\x1a\npush graphic-context\nimage over 0,0 0,0 "|id"', "latin1"),
    ),
    // Truncations and lies
    problem("jpeg cut in its header", jpeg.subarray(0, 150)),
    problem("jpeg cut in its picture", jpeg.subarray(0, Math.floor(jpeg.length / 2))),
    problem("png cut", grey.subarray(0, Math.floor(grey.length / 2))),
    problem("webp cut", webp.subarray(0, Math.floor(webp.length / 2))),
    problem("tiff cut", plainTiff.subarray(0, 12)),
    problem("avif cut", avif.subarray(0, Math.floor(avif.length / 2))),
    problem(
      "jpeg without tables",
      Buffer.from("ffd8ffc0001108005000500301220002110103110100ffda000c03010002110311003f00ffd9", "hex"),
    ),
    problem("jpeg whose segment has length 0", Buffer.from("ffd8ffe00000ffd9ffffffffffffffffffffffff", "hex")),
    problem("jpeg of fill bytes", Buffer.concat([Buffer.from("ffd8ff", "hex"), Buffer.alloc(2 ** 20, 0xff)])),
    problem(
      "jpeg of 4 million stray bytes",
      Buffer.concat([Buffer.from("ffd8ff", "hex"), Buffer.alloc(4 * 2 ** 20, 0x11)]),
    ),
    problem("riff without chunks", Buffer.from("RIFF\x10\0\0\0WEBP".padEnd(40, "\0"), "latin1")),
    problem("png too small to analyse", png(63, 63, 8, 0, [pngChunk("IDAT", deflateSync(Buffer.alloc(64 * 63)))])),
    problem("png of 1 × 4,000,000", png(1, 4_000_000, 8, 0, [pngChunk("IDAT", bomb(8))])),
    problem("png of size 0", png(0, 0, 8, 0, [idat])),
    any("png whose checksum is wrong", overwrite(grey, "IDAT", 20, 0xdeadbeef)),
    // Strange, but honest
    result("jpeg, CMYK", cmyk),
    result("png, 16 bits", deep),
    result("webp, 40 frames", animated),
    result("png with transparency", await as((image) => image.ensureAlpha(0.5).png())),
    result("tiff, 16 bits", await sharp(deep).toColourspace("rgb16").tiff().toBuffer()),
    result("png, palette", await as((image) => image.png({ palette: true, colours: 4 }))),
  ];
}
