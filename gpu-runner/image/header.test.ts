import { readFileSync } from "node:fs";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { readHeader } from "./header.ts";
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
