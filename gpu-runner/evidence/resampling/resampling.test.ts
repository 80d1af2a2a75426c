import { readFileSync } from "node:fs";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { lumaOf, type Plane } from "../plane.ts";
import { wasResampled } from "./judge.ts";
import { factorsOf, strongestPeriod } from "./periods.ts";
import { bandwidthOf, meanSpectrum, rasterOf } from "./spectrum.ts";

const photo = readFileSync(new URL("../../../test/samples/landscape.jpg", import.meta.url));

async function planeOf(bytes: Buffer): Promise<Plane> {
  const { data, info } = await sharp(bytes).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  return lumaOf({ pixels: data, ...info });
}

const periodsOf = (plane: Plane) => ({
  horizontal: strongestPeriod(plane, "horizontal"),
  vertical: strongestPeriod(plane, "vertical"),
});

async function enlarged(factor: number): Promise<Buffer> {
  const part = sharp(photo).extract({ left: 200, top: 100, width: 420, height: 420 });
  return part
    .resize(Math.round(420 * factor), null, { kernel: "cubic" })
    .png()
    .toBuffer();
}

describe("resizing", () => {
  it("of all of a picture shows, with a factor that fits", async () => {
    const period = wasResampled(periodsOf(await planeOf(await enlarged(1.4))), false);
    expect(period).not.toBeNull();
    expect(factorsOf(period?.frequency ?? 0).some((factor) => Math.abs(factor - 1.4) < 0.03)).toBe(true);
  });

  it("does not show in a photograph that was not resized", async () => {
    expect(wasResampled(periodsOf(await planeOf(photo)), false)).toBeNull();
  });

  it("is not taken for the pitch of printed letters, and shows in a receipt that was resized", async () => {
    for (const name of ["receipt-authentic", "receipt-forged"]) {
      const receipt = readFileSync(new URL(`../../../test/samples/${name}.jpg`, import.meta.url));
      expect(wasResampled(periodsOf(await planeOf(receipt)), true)).toBeNull();
      const larger = await sharp(receipt).resize(845).png().toBuffer();
      expect(wasResampled(periodsOf(await planeOf(larger)), true)).not.toBeNull();
    }
  });

  it("is not looked for where there are too few pixels", async () => {
    const { horizontal, vertical } = periodsOf(await planeOf(await sharp(photo).resize(40).png().toBuffer()));
    expect([horizontal, vertical]).toEqual([null, null]);
    expect(meanSpectrum(await planeOf(await sharp(photo).resize(200).png().toBuffer()))).toBeNull();
  });
});

describe("the spectrum", () => {
  const spectrumOf = async (bytes: Buffer) => {
    const spectrum = meanSpectrum(await planeOf(bytes));
    if (spectrum === null) throw new Error("the picture is too small");
    return spectrum;
  };

  it("of an enlarged picture ends early", async () => {
    const [own, large] = [await spectrumOf(photo), await spectrumOf(await enlarged(4))];
    expect(bandwidthOf(large)).toBeLessThan(0.42);
    expect(bandwidthOf(own)).toBeGreaterThan(0.6);
  });

  it("of a picture behind a raster has its lines, that of a photograph has none", async () => {
    const { data, info } = await sharp(photo).raw().toBuffer({ resolveWithObject: true });
    for (let i = 0; i < data.length; i++) {
      const [x, y] = [Math.floor(i / 3) % info.width, Math.floor(i / 3 / info.width)];
      const screen = 20 * Math.cos(0.97 * x + 0.31 * y) * Math.cos(0.97 * y - 0.31 * x);
      data[i] = Math.min(255, Math.max(0, (data[i] ?? 0) + screen));
    }
    const raw = { width: info.width, height: info.height, channels: 3 } as const;
    expect(rasterOf(await spectrumOf(await sharp(data, { raw }).png().toBuffer())).strength).toBeGreaterThan(4.5);
    expect(rasterOf(await spectrumOf(photo)).peaks).toBe(0);
  });
});
