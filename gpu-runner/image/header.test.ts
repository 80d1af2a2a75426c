import { readFileSync } from "node:fs";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { decodeImage } from "./decode.ts";
import { readHeader, refuseUnanalysable } from "./header.ts";
import { libjpegQuality } from "./jpeg.ts";

function bytesOf(name: string): Buffer {
  return readFileSync(new URL(`./golden/${name}`, import.meta.url));
}

describe("the size that a header claims", () => {
  it.each([
    ["baseline-420.jpg", "jpeg"],
    ["ultra-hdr.jpg", "jpeg"],
    ["rgb.png", "png"],
    ["lossy.webp", "webp"],
    ["alpha.webp", "webp"],
    ["big.tiff", "tiff"],
    ["photo.avif", "avif"],
  ])("%s", (name, format) => {
    const header = readHeader(bytesOf(name));
    expect([header.format, header.width, header.height]).toEqual([format, 151, 97]);
  });

  it("of a HEIC is the coded one, before its clean aperture cuts it to the odd size", () => {
    expect(readHeader(bytesOf("photo.heic"))).toMatchObject({ format: "heic", width: 152, height: 98 });
  });

  it("in lossless and in extended WebP", async () => {
    const image = sharp({ create: { width: 300, height: 200, channels: 4, background: "#12345678" } });
    const lossless = await image.clone().webp({ lossless: true }).toBuffer();
    const extended = await image
      .clone()
      .withExif({ IFD0: { Artist: "nobody" } })
      .webp()
      .toBuffer();
    for (const bytes of [lossless, extended]) {
      expect(readHeader(bytes)).toMatchObject({ format: "webp", width: 300, height: 200 });
    }
  });

  it("in little-endian and big-endian TIFF", async () => {
    const big = await sharp(bytesOf("rgb.png")).tiff().toBuffer();
    expect(readHeader(big)).toMatchObject({ width: 151, height: 97 });
    // The same directory by hand, most significant byte first: width and height as SHORT.
    const bytes = Buffer.alloc(64);
    bytes.write("MM\0*", 0, "latin1");
    bytes.writeUInt32BE(8, 4);
    bytes.writeUInt16BE(2, 8);
    for (const [i, [tag, value]] of [
      [256, 640],
      [257, 480],
    ].entries()) {
      bytes.writeUInt16BE(tag ?? 0, 10 + 12 * i);
      bytes.writeUInt16BE(3, 12 + 12 * i);
      bytes.writeUInt32BE(1, 14 + 12 * i);
      bytes.writeUInt16BE(value ?? 0, 18 + 12 * i);
    }
    expect(readHeader(bytes)).toMatchObject({ format: "tiff", width: 640, height: 480 });
  });
});

it("knows libjpeg's tables, and that a custom one is none of them", () => {
  const quality = (name: string) => readHeader(bytesOf(name)).jpeg?.quality;
  expect(quality("baseline-444.jpg")).toBe(60);
  expect(quality("custom-table.jpg")).toBeNull();
  expect(libjpegQuality(new Int32Array(64).fill(1))).toBe(100);
});

it("takes a JPEG's last definition of a table, however many there are", () => {
  const jpeg = bytesOf("baseline-444.jpg");
  // A thousand tables of sevens for each slot before the file's own, and one of nines behind them.
  const segment = (value: number, count: number) => {
    const tables = Array.from({ length: count }, (_, n) => Buffer.from([n % 4, ...new Uint8Array(64).fill(value)]));
    const head = Buffer.from([0xff, 0xdb, 0, 0]);
    head.writeUInt16BE(2 + 65 * count, 2);
    return Buffer.concat([head, ...tables]);
  };
  const many = Array.from({ length: 5 }, () => segment(7, 800));
  const before = Buffer.concat([jpeg.subarray(0, 2), ...many, jpeg.subarray(2)]);
  expect(readHeader(before).jpeg?.quality).toBe(60);
  const scan = jpeg.indexOf(Buffer.from([0xff, 0xda]));
  const behind = Buffer.concat([jpeg.subarray(0, scan), segment(9, 4), jpeg.subarray(scan)]);
  expect(readHeader(behind).jpeg?.firstTable).toEqual(new Int32Array(64).fill(9));
});

it("reads no further than the file, though more lies behind it in memory", () => {
  const jpeg = bytesOf("baseline-444.jpg");
  expect(() => readHeader(jpeg.subarray(0, 40))).toThrowError(/cut off/);
});

describe("300 megapixels are refused by what the header claims", () => {
  const [width, height] = [20_000, 15_000];
  const limit = 100_000_000;

  /** A golden file with another claim written into it. */
  function claiming(name: string, write: (bytes: Buffer) => void): Buffer {
    const bytes = Buffer.from(bytesOf(name));
    write(bytes);
    return bytes;
  }
  /** All `ispe` boxes: the size of each item, of the tiles of a grid as well. */
  function inEveryItem(bytes: Buffer): void {
    for (let at = bytes.indexOf("ispe"); at >= 0; at = bytes.indexOf("ispe", at + 4)) {
      bytes.writeUInt32BE(width, at + 8);
      bytes.writeUInt32BE(height, at + 12);
    }
  }
  /** A directory of width and height, both LONG, least significant byte first. */
  function tiff(big: boolean): Buffer {
    const bytes = Buffer.alloc(80);
    bytes.write("II");
    bytes.writeUInt16LE(big ? 43 : 42, 2);
    if (big) {
      bytes.writeUInt16LE(8, 4);
      bytes.writeBigUInt64LE(16n, 8);
      bytes.writeBigUInt64LE(2n, 16);
    } else {
      bytes.writeUInt32LE(8, 4);
      bytes.writeUInt16LE(2, 8);
    }
    for (const [i, value] of [width, height].entries()) {
      const at = big ? 24 + 20 * i : 10 + 12 * i;
      bytes.writeUInt16LE(256 + i, at);
      bytes.writeUInt16LE(4, at + 2);
      bytes.writeUInt8(1, at + 4);
      bytes.writeUInt32LE(value, at + (big ? 12 : 8));
    }
    return bytes;
  }

  it.each<[string, () => Buffer]>([
    [
      "JPEG",
      () =>
        claiming("baseline-420.jpg", (bytes) => {
          const frame = bytes.indexOf(Buffer.from([0xff, 0xc0]));
          bytes.writeUInt16BE(height, frame + 5);
          bytes.writeUInt16BE(width, frame + 7);
        }),
    ],
    [
      "PNG",
      () =>
        claiming("rgb.png", (bytes) => {
          bytes.writeUInt32BE(width, 16);
          bytes.writeUInt32BE(height, 20);
        }),
    ],
    [
      "extended WebP",
      () =>
        claiming("animated.webp", (bytes) => {
          expect(bytes.toString("latin1", 12, 16)).toBe("VP8X");
          bytes.writeUIntLE(width - 1, 24, 3);
          bytes.writeUIntLE(height - 1, 27, 3);
        }),
    ],
    ["TIFF", () => tiff(false)],
    ["BigTIFF", () => tiff(true)],
    ["AVIF", () => claiming("photo.avif", inEveryItem)],
    ["HEIC", () => claiming("photo.heic", inEveryItem)],
  ])("%s", async (_, made) => {
    const bytes = made();
    const header = readHeader(bytes);
    expect([header.width, header.height]).toEqual([width, height]);
    const tooMany = expect.objectContaining({ code: "image_too_many_pixels" });
    expect(() => refuseUnanalysable(header, limit)).toThrow(tooMany);
    await expect(decodeImage(bytes, limit)).rejects.toEqual(tooMany);
  });

  it("of a BigTIFF whose height no number holds", () => {
    const bytes = tiff(true);
    bytes.writeUInt16LE(16, 24 + 20 + 2);
    bytes.writeBigUInt64LE(2n ** 62n, 24 + 20 + 12);
    expect(() => readHeader(bytes)).toThrow(expect.objectContaining({ code: "image_corrupt" }));
  });
});
