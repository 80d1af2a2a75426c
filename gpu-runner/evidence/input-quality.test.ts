import { expect, it } from "vitest";
import { libjpegTable } from "../image/jpeg.ts";
import { caveatsOf, type QualityInput } from "./input-quality.ts";

const facts: QualityInput["facts"] = {
  format: "jpeg",
  width: 3000,
  height: 2000,
  frames: 1,
};

function jpegOf(quality: number): QualityInput["jpeg"] {
  return { quality, firstTable: libjpegTable(quality) };
}

function codes(changes: Partial<QualityInput["facts"]>, more: Partial<QualityInput> = {}) {
  const jpeg = (changes.format ?? "jpeg") === "jpeg" ? jpegOf(92) : null;
  return caveatsOf({
    facts: { ...facts, ...changes },
    jpeg,
    metadata: null,
    sampling: null,
    printed: false,
    ...more,
  }).map(({ code }) => code);
}

const sampling: NonNullable<QualityInput["sampling"]> = {
  image: { horizontal: null, vertical: null },
  regions: [],
  bandwidth: 0.9,
  raster: { peaks: 0, strength: 0 },
  flat: 0.02,
};

it("has nothing against a large, lightly compressed JPEG", () => {
  expect(codes({}, { sampling })).toEqual([]);
});

it("names what makes an answer less certain", () => {
  expect(codes({ height: 200 })).toEqual(["small"]);
  expect(codes({ height: 100 })).toEqual(["too_small"]);
  expect(codes({}, { jpeg: jpegOf(40) })).toEqual(["heavily_compressed"]);
  expect(codes({}, { jpeg: jpegOf(30) })).toEqual(["extremely_compressed"]);
  expect(codes({ width: 2048, height: 1536 })).toEqual(["possibly_resized"]);
  expect(codes({ width: 2048, height: 1536 }, { metadata: { camera: "Canon EOS R6", screenshot: false } })).toEqual([]);
  expect(codes({ frames: 3 })).toEqual(["first_of_several"]);
});

it("judges tables that are none of libjpeg's by the nearest", () => {
  const firstTable = libjpegTable(40).map((step, i) => (i === 5 ? step + 1 : step));
  expect(codes({}, { jpeg: { quality: null, firstTable } })).toEqual(["heavily_compressed"]);
});

it("calls a screenshot one where it says so or is drawn, and only like one where it has a screen's size", () => {
  const screen = { format: "png", width: 1170, height: 2532 } as const;
  expect(codes(screen)).toEqual(["not_jpeg", "screenshot_like"]);
  expect(codes(screen, { sampling: { ...sampling, flat: 0.8 } })).toEqual(["not_jpeg", "screenshot"]);
  expect(codes(screen, { metadata: { camera: null, screenshot: true } })).toEqual(["not_jpeg", "screenshot"]);
});

it("tells resizing, enlargement and rasters, those first that leave nothing to rest on", () => {
  const line = { frequency: 0.3, strength: 20 };
  const image = { horizontal: { axis: "horizontal", ...line }, vertical: { axis: "vertical", ...line } } as const;
  expect(codes({ format: "png" }, { sampling: { ...sampling, image } })).toEqual(["not_jpeg", "resized"]);
  expect(codes({ format: "png" }, { sampling: { ...sampling, bandwidth: 0.3 } })).toEqual(["enlarged", "not_jpeg"]);
  expect(codes({}, { sampling: { ...sampling, raster: { peaks: 20, strength: 8 } } })).toEqual(["rephotographed"]);
});
