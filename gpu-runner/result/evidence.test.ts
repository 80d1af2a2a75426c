import { readFileSync } from "node:fs";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { decodeImage } from "../image/decode.ts";
import { gatherEvidence } from "./evidence.ts";

const photo = readFileSync(new URL("../image/golden/rgb.png", import.meta.url));

async function evidenceOf(bytes: Buffer) {
  return gatherEvidence(await decodeImage(bytes, 1e6), "rgb");
}

function withExif(tags: Record<string, string>, details: Record<string, string> = {}): Promise<Buffer> {
  return sharp(photo).withExif({ IFD0: tags, IFD2: details }).jpeg({ quality: 90 }).toBuffer();
}

describe("evidence", () => {
  it("of an edited photograph names camera, editor and the later change, and calls none of it proof", async () => {
    const bytes = await withExif(
      { Make: "Canon", Model: "Canon EOS R6", Software: "Adobe Photoshop 25.1", DateTime: "2026:11:02 10:00:00" },
      { DateTimeOriginal: "2026:11:01 09:30:00" },
    );
    const { evidence, fromCamera, degraded } = await evidenceOf(bytes);
    const byCode = new Map(evidence.map((item) => [item.code, item]));
    expect(byCode.get("camera")?.details).toMatchObject({ camera: "Canon EOS R6" });
    expect(byCode.get("editing_software")).toMatchObject({
      severity: "low",
      details: { software: "Adobe Photoshop 25.1" },
    });
    expect(byCode.get("modified_after_capture")).toMatchObject({ severity: "low" });
    expect(fromCamera).toBe(true);
    expect(degraded).toEqual([]);
  });

  it("of a camera's own file holds nothing against it", async () => {
    const bytes = await withExif(
      { Make: "Apple", Model: "iPhone 15", Software: "17.1", DateTime: "2026:11:01 09:30:00" },
      { DateTimeOriginal: "2026:11:01 09:30:00" },
    );
    const { evidence } = await evidenceOf(bytes);
    expect(evidence.every(({ severity }) => severity === "info")).toBe(true);
    expect(evidence.find(({ code }) => code === "camera")?.details).toMatchObject({ camera: "Apple iPhone 15" });
  });

  it("reads a telephone's HEIC as well", async () => {
    const heic = readFileSync(new URL("../image/golden/photo.heic", import.meta.url));
    const { evidence } = await evidenceOf(heic);
    expect(evidence.find(({ code }) => code === "camera")?.details).toMatchObject({ camera: "Apple iPhone 15" });
  });

  it("of a file without metadata invents none", async () => {
    const { evidence, fromCamera } = await evidenceOf(photo);
    expect(evidence.map(({ code }) => code)).toEqual(["modality"]);
    expect(fromCamera).toBe(false);
  });

  it("of a damaged EXIF block is a degraded check, not a failed analysis", async () => {
    const image = await decodeImage(photo, 1e6);
    const { degraded } = await gatherEvidence({ ...image, exif: Buffer.from("this is no TIFF structure") }, "rgb");
    expect(degraded).toEqual([{ check: "metadata", reason: expect.stringContaining("EXIF") }]);
  });
});
