import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { Problem, type ProblemCode } from "@omni-iml/shared/problems";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { decodeImage, noTable } from "./decode.ts";
import { displayedSize, orient } from "./orientation.ts";

const golden = new URL("./golden/", import.meta.url);
const expected = z
  .record(
    z.string(),
    z.object({
      width: z.int().optional(),
      height: z.int().optional(),
      pixels: z.string().optional(),
      displayed: z.string().optional(),
      table: z.array(z.int()).optional(),
      quality: z.int().nullable().optional(),
      orientation: z.int().optional(),
      frames: z.int().optional(),
    }),
  )
  .parse(JSON.parse(readFileSync(new URL("expected.json", golden), "utf8")));
const limit = 1_000_000;

function bytesOf(name: string): Buffer {
  return readFileSync(new URL(name, golden));
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function refusal(bytes: Uint8Array, maxPixels = limit): Promise<ProblemCode> {
  const error: unknown = await decodeImage(bytes, maxPixels).catch((reason: unknown) => reason);
  if (error instanceof Problem) return error.code;
  throw new Error(`no problem but ${error}`);
}

/** Mean difference from the scene that all goldens of its size show, in steps of 1/255. */
async function distanceFromScene(name: string): Promise<number> {
  const [one, other] = [await decodeImage(bytesOf(name), limit), await decodeImage(bytesOf("rgb.png"), limit)];
  const sum = one.pixels.reduce((total, value, i) => total + Math.abs(value - (other.pixels[i] ?? 0)), 0);
  return sum / one.pixels.length;
}

describe("decoding gives exactly what Pillow gives", () => {
  const exact = Object.entries(expected).filter(([, facts]) => facts.pixels !== undefined);
  it.each(exact)("%s", async (name, facts) => {
    const image = await decodeImage(bytesOf(name), limit);
    expect([image.width, image.height]).toEqual([facts.width, facts.height]);
    expect(sha256(image.pixels)).toBe(facts.pixels);
    expect(image.frames).toBe(facts.frames ?? 1);
    expect(image.orientation).toBe(facts.orientation ?? 1);
  });

  it("a wide-gamut profile is not applied, and would change pixels if it were", async () => {
    const applied = await sharp(bytesOf("wide-gamut.jpg")).toColourspace("srgb").raw().toBuffer();
    expect(sha256(applied)).not.toBe(expected["wide-gamut.jpg"]?.pixels);
  });
});

describe("the quantization table", () => {
  const jpegs = Object.entries(expected).filter(([, facts]) => facts.table !== undefined);
  it.each(jpegs)("of %s is the one its frame assigns to the first component, in natural order", async (name, facts) => {
    const { qtable, jpeg, header } = await decodeImage(bytesOf(name), limit);
    expect(Array.from(qtable)).toEqual(facts.table);
    expect(jpeg).toBe(true);
    expect(header.jpeg?.quality).toBe(facts.quality);
  });

  it.each(["cmyk.jpg", "rgb.jpg", "rgb.png", "lossy.webp", "photo.avif", "photo.heic"])(
    "of %s is ones, and it is no JPEG for the model",
    async (name) => {
      const image = await decodeImage(bytesOf(name), limit);
      expect(image.qtable).toEqual(noTable);
      expect(image.jpeg).toBe(false);
    },
  );
});

it("names subsampling and progression", async () => {
  const facts = async (name: string) => {
    const { header } = await decodeImage(bytesOf(name), limit);
    return [header.jpeg?.subsampling, header.jpeg?.progressive, header.jpeg?.colour];
  };
  expect(await facts("baseline-420.jpg")).toEqual(["4:2:0", false, "ycbcr"]);
  expect(await facts("baseline-422.jpg")).toEqual(["4:2:2", false, "ycbcr"]);
  expect(await facts("progressive-444.jpg")).toEqual(["4:4:4", true, "ycbcr"]);
  expect(await facts("grey.jpg")).toEqual(["4:0:0", false, "grey"]);
  expect(await facts("rgb.jpg")).toEqual(["4:4:4", false, "rgb"]);
  expect(await facts("cmyk.jpg")).toEqual(["4:4:4", false, "cmyk"]);
});

describe("all eight orientations", () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])("%i: stored as it is, displayed as Pillow displays it", async (tag) => {
    const name = `orientation-${tag}.jpg`;
    const image = await decodeImage(bytesOf(name), limit);
    const raw = { width: image.width, height: image.height, channels: 3 } as const;
    const turned = await orient(sharp(image.pixels, { raw }), image.orientation)
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect(sha256(turned.data)).toBe(expected[name]?.displayed);
    expect({ width: turned.info.width, height: turned.info.height }).toEqual(
      displayedSize(image.width, image.height, image.orientation),
    );
  });
});

describe("lossy formats show the scene", () => {
  // Chroma subsampling and quantization of the noise in it; a wrong colour model or profile is far beyond.
  it.each([
    ["lossy.webp", 12],
    ["photo.avif", 12],
    ["photo.heic", 12],
    ["cmyk.jpg", 40],
  ])("%s", async (name, most) => {
    expect(await distanceFromScene(name)).toBeLessThan(most);
  });
});

it.each(["alpha.png", "alpha.webp"])("composes the transparency of %s on white", async (name) => {
  const image = await decodeImage(bytesOf(name), limit);
  const opaque = await decodeImage(bytesOf("rgb.png"), limit);
  // The alpha channel runs from transparent at the top to opaque at the bottom.
  expect(Array.from(image.pixels.subarray(0, 300)).every((value) => value >= 250)).toBe(true);
  const last = image.pixels.length - 300;
  const off = image.pixels.subarray(last).map((value, i) => Math.abs(value - (opaque.pixels[last + i] ?? 0)));
  expect(Math.max(...off)).toBeLessThan(6);
});

describe("refusals", () => {
  it.each([
    ["baseline-420.jpg", 0.7],
    ["progressive-420.jpg", 0.5],
    ["baseline-420.jpg", 0.05],
    ["rgb.png", 0.6],
    ["lossy.webp", 0.5],
    ["photo.avif", 0.5],
    ["photo.heic", 0.5],
    ["big.tiff", 0.5],
  ])("%s cut to %f of its length is corrupt", async (name, part) => {
    const whole = bytesOf(name);
    expect(await refusal(whole.subarray(0, Math.floor(whole.length * part)))).toBe("image_corrupt");
  });

  it("does not take a TIFF's missing strips for black ones", async () => {
    // 200 × 200 grey pixels in a strip that lies behind the end of the file: width, height, bits, compression (none),
    // photometric, offset, samples, rows, bytes.
    const tags = [
      [256, 200],
      [257, 200],
      [258, 8],
      [259, 1],
      [262, 1],
      [273, 130],
      [277, 1],
      [278, 200],
      [279, 40_000],
    ];
    const entries = tags.map(([tag = 0, value = 0]) => {
      const entry = Buffer.alloc(12);
      entry.writeUInt16BE(tag, 0);
      entry.writeUInt16BE(4, 2);
      entry.writeUInt32BE(1, 4);
      entry.writeUInt32BE(value, 8);
      return entry;
    });
    const head = Buffer.from("4d4d002a000000080009", "hex");
    const file = Buffer.concat([head, ...entries, Buffer.alloc(4)]);
    expect(await refusal(Buffer.concat([file, Buffer.alloc(300)]))).toBe("image_corrupt");
    const whole = Buffer.concat([file, Buffer.alloc(130 - file.length + 40_000, 100)]);
    expect((await decodeImage(whole, limit)).pixels.subarray(0, 3)).toEqual(Buffer.from([100, 100, 100]));
  });

  it("survives a HEIC whose crop makes the decoder give more columns than the file claims", async () => {
    const file = Buffer.from(bytesOf("photo.heic"));
    const horizontalOffset = file.indexOf("clap") + 20;
    expect(file.readInt32BE(horizontalOffset)).toBe(-1);
    file.writeInt32BE(-16_385, horizontalOffset);
    expect(await refusal(file)).toBe("image_corrupt");
    expect((await decodeImage(bytesOf("photo.heic"), limit)).width).toBe(151);
  });

  it("tells formats by their bytes: text, PDF, GIF and nothing at all", async () => {
    expect(await refusal(Buffer.from("Dear customer, this is a letter and no photo.jpg"))).toBe(
      "unsupported_media_type",
    );
    expect(await refusal(Buffer.from("%PDF-1.7\n%âãÏÓ\n1 0 obj"))).toBe("unsupported_media_type");
    expect(await refusal(bytesOf("animated.gif"))).toBe("unsupported_media_type");
    expect(await refusal(Buffer.alloc(0))).toBe("image_corrupt");
  });

  it("needs 64 pixels on the shorter side", async () => {
    const png = (width: number, height: number) =>
      sharp({ create: { width, height, channels: 3, background: "#808080" } })
        .png()
        .toBuffer();
    expect(await refusal(await png(1, 1))).toBe("image_too_small");
    expect(await refusal(await png(63, 400))).toBe("image_too_small");
    expect((await decodeImage(await png(64, 64), limit)).width).toBe(64);
  });

  it("judges a bomb by its header, before it is inflated", async () => {
    const bomb = Buffer.from(bytesOf("rgb.png"));
    bomb.writeUInt32BE(60_000, 16);
    bomb.writeUInt32BE(60_000, 20);
    expect(await refusal(bomb)).toBe("image_too_many_pixels");
    expect(await refusal(bytesOf("rgb.png"), 151 * 97 - 1)).toBe("image_too_many_pixels");
    const jpeg = Buffer.from(bytesOf("baseline-420.jpg"));
    const frame = jpeg.indexOf(Buffer.from([0xff, 0xc0]));
    jpeg.writeUInt16BE(65_000, frame + 5);
    jpeg.writeUInt16BE(65_000, frame + 7);
    expect(await refusal(jpeg)).toBe("image_too_many_pixels");
  });
});
