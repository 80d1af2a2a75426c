/** Whole examinations of real files, made here of the bundled photographs. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Region } from "@omni-iml/shared/analysis";
import sharp from "sharp";
import { describe, expect, it, vi } from "vitest";
import { decodeImage } from "../image/decode.ts";
import { type Examined, type ExamineInput, examine } from "./evidence.ts";
import { loadTrustAnchors } from "./provenance/trust-anchors.ts";

/** A busy machine takes ten times what an idle one does. */
vi.setConfig({ testTimeout: 180_000 });

const samples = new URL("../../test/samples/", import.meta.url);
const golden = new URL("../image/golden/", import.meta.url);
const photo = readFileSync(new URL("landscape.jpg", samples));

function regionOf(polygon: Region["polygon"], id = "r1"): Region {
  return {
    id,
    bbox: { x: 0, y: 0, width: 1, height: 1 },
    polygon,
    area_fraction: 0.1,
    score: 0.9,
    manipulation: null,
    artifacts: [],
    position: { absolute: "centre", relative: null },
    content: null,
    content_confidence: null,
    interpretation: null,
  };
}

interface Examination extends Partial<Omit<ExamineInput, "bytes" | "image">> {
  readonly signal?: AbortSignal;
}

async function look(bytes: Uint8Array, { signal, ...more }: Examination = {}): Promise<Examined> {
  const image = await decodeImage(bytes, 1e7);
  const about = {
    regions: [],
    modality: "fused",
    domain: "natural",
    trustAnchors: null,
    wanted: true,
    reads: true,
    ...more,
  } as const;
  return examine({ bytes, image, ...about }, signal ?? new AbortController().signal);
}

const codesOf = ({ evidence }: Examined) => evidence.map(({ code }) => code);
const alarmsOf = ({ evidence }: Examined) => evidence.filter(({ severity }) => /medium|high/.test(severity));
const found = ({ evidence }: Examined, code: string) => evidence.find((item) => item.code === code);

function withExif(ifd0: Record<string, string>, details: Record<string, string> = {}, gps = {}): Promise<Buffer> {
  return sharp(photo).withExif({ IFD0: ifd0, IFD2: details, IFD3: gps }).jpeg({ quality: 90 }).toBuffer();
}

describe("metadata", () => {
  it("of an edited photograph names camera, editor and the later change, and raises no alarm for it", async () => {
    const bytes = await withExif(
      { Make: "Canon", Model: "Canon EOS R6", Software: "Adobe Photoshop 25.1", DateTime: "2025:11:02 10:00:00" },
      { DateTimeOriginal: "2025:11:01 09:30:00" },
    );
    const examined = await look(bytes);
    expect(found(examined, "camera")?.details).toMatchObject({ camera: "Canon EOS R6" });
    expect(found(examined, "editing_software")?.details).toMatchObject({ software: "Adobe Photoshop 25.1" });
    expect(found(examined, "modified_after_capture")?.severity).toBe("low");
    expect(alarmsOf(examined)).toEqual([]);
    expect(examined.degraded_checks).toEqual([]);
  });

  it("of a camera's own file holds nothing against it", async () => {
    const bytes = await withExif(
      { Make: "Apple", Model: "iPhone 15", Software: "17.1", DateTime: "2025:11:01 09:30:00" },
      { DateTimeOriginal: "2025:11:01 09:30:00" },
    );
    const examined = await look(bytes);
    expect(found(examined, "camera")?.details).toMatchObject({ camera: "Apple iPhone 15" });
    expect(examined.evidence.filter(({ family, severity }) => family === "metadata" && severity !== "info")).toEqual(
      [],
    );
  });

  it("that is forged or contradicts itself breaks nothing and is told", async () => {
    const bytes = await withExif(
      { Make: "X".repeat(5000), Model: "<script>", DateTime: "2001:01:01 00:00:00" },
      { DateTimeOriginal: "2999:12:31 23:59:59" },
    );
    const reasons = (await look(bytes)).evidence.filter(({ code }) => code === "dates_contradict");
    expect(reasons.map(({ details }) => details["reason"])).toEqual(["captured_after_modified", "in_the_future"]);
    const nonsense = await withExif({ Make: "Canon" }, { DateTimeOriginal: "once upon a time" });
    expect(codesOf(await look(nonsense))).not.toContain("dates_contradict");
  });

  it("that is damaged is a degraded check, and the rest goes on", async () => {
    const bytes = await withExif({ Make: "Canon", Model: "EOS" });
    const header = bytes.indexOf("Exif\0\0") + 6;
    bytes.write("no TIFF structure", header);
    const examined = await look(bytes);
    expect(examined.degraded_checks.map(({ check }) => check)).toEqual(["metadata"]);
    expect(codesOf(examined)).toContain("no_copy_found");
  });

  it("is read from a telephone's HEIC as well", async () => {
    const heic = readFileSync(new URL("photo.heic", golden));
    expect(found(await look(heic), "camera")?.details).toMatchObject({ camera: "Apple iPhone 15" });
  });
});

it("an untouched photograph raises no alarm, whatever region the network points at", async () => {
  const examined = await look(photo, {
    regions: [
      regionOf([
        [200, 150],
        [500, 150],
        [500, 450],
        [200, 450],
      ]),
    ],
  });
  expect(alarmsOf(examined)).toEqual([]);
  expect(examined.degraded_checks).toEqual([]);
});

it("a signed photograph is recognised, and its signer trusted by whom the service trusts", async () => {
  const folder = new URL("provenance/golden/", import.meta.url);
  const signed = readFileSync(new URL("signed.jpg", folder));
  const trustAnchors = await loadTrustAnchors(fileURLToPath(new URL("trust.pem", folder)));
  expect(found(await look(signed, { trustAnchors }), "content_credentials_valid")?.details["trusted"]).toBe(true);
  await expect(loadTrustAnchors(fileURLToPath(new URL("make.py", folder)))).rejects.toThrow("no certificate");
});

it("where no evidence is wanted there is none, and the caveats are the same", async () => {
  const small = await sharp(photo).resize(240).jpeg({ quality: 30 }).toBuffer();
  const [without, whole] = [await look(small, { wanted: false }), await look(small)];
  expect(without.evidence).toEqual([]);
  expect(without.input_quality).toEqual(whole.input_quality);
  expect(without.input_quality.map(({ code }) => code)).toEqual(["extremely_compressed", "small"]);
});

it("says the same of the same file", async () => {
  expect(await look(photo)).toEqual(await look(photo));
});

it("ends with the job", async () => {
  const gone = new Error("nobody waits any more");
  await expect(look(photo, { signal: AbortSignal.abort(gone) })).rejects.toBe(gone);
  const withdrawal = new AbortController();
  const going = look(photo, { signal: withdrawal.signal });
  setTimeout(() => withdrawal.abort(gone), 30);
  await expect(going).rejects.toBe(gone);
  expect((await look(photo)).degraded_checks).toEqual([]);
});

it.each([
  [24_000, 96],
  [1504, 1504],
])("looks at a part of what is large: %i × %i", async (width, height) => {
  const noise = { type: "gaussian", mean: 128, sigma: 20 } as const;
  const bytes = await sharp({ create: { width, height, channels: 3, background: "#753", noise } })
    .jpeg({ quality: 80 })
    .toBuffer();
  const examined = await look(bytes, { wanted: false });
  expect(examined.degraded_checks).toEqual([]);
});

it("reads every kind of file that is taken", async () => {
  for (const name of ["photo.avif", "lossy.webp", "cmyk.jpg", "grey16.tiff", "palette.png", "orientation-5.jpg"]) {
    const bytes = readFileSync(fileURLToPath(new URL(name, golden)));
    expect((await look(bytes)).degraded_checks).toEqual([]);
  }
});
