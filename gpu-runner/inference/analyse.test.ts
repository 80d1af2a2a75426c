/** The whole way from file to finding with the released model; its judgement is evaluated elsewhere. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { analysisOptions } from "@omni-iml/shared/analysis";
import { Problem } from "@omni-iml/shared/problems";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import { readConfiguration } from "../configuration.ts";
import type { Interpreter } from "../interpretation/contract.ts";
import { mostInterpreted } from "../interpretation/interpret.ts";
import { loadInterpreter } from "../interpretation/session.ts";
import { loadRelease } from "../release.ts";
import { standInManifest } from "../testing/interpretation.ts";
import { analyse, type Served } from "./analyse.ts";
import { Batcher } from "./batcher.ts";
import { gateDecides, loadSession, type Session, useFused, useRgb } from "./session.ts";

const golden = new URL("../image/golden/", import.meta.url);
let served: Served;
let session: Session;

beforeAll(async () => {
  const { MODEL_DIR, MAX_PIXELS } = readConfiguration({ RUNNER_SECRET: "nothing is signed here" });
  const { manifest, modelFile } = await loadRelease(MODEL_DIR);
  session = await loadSession(modelFile, "cpu", { threads: 2 });
  served = {
    manifest,
    batcher: new Batcher([session], 1),
    interpreter: null,
    maxPixels: MAX_PIXELS,
    trustAnchors: null,
  };
});

function run(name: string, options: object = {}) {
  return runOn(readFileSync(new URL(name, golden)), options);
}

function runOn(bytes: Uint8Array, options: object = {}) {
  const job = {
    bytes,
    sha256: "0".repeat(64),
    outputs: ["probability" as const, "mask" as const, "overlay" as const],
    pictures: { report: true, prompt: true },
    options: analysisOptions.parse(options),
  };
  return analyse(job, served, new AbortController().signal, () => undefined);
}

function pixelsOf(png: Uint8Array | undefined) {
  return sharp(png).toColourspace("b-w").raw().toBuffer({ resolveWithObject: true });
}

it("explains unless no interpretation is wanted", async () => {
  expect((await run("baseline-420.jpg")).finding.explanation).not.toBe("");
  expect((await run("baseline-420.jpg", { interpretation: "none" })).finding.explanation).toBe("");
});

describe("scores a region higher, whatever is asked for,", () => {
  const side = 512;
  const photo = () => sharp(readFileSync(new URL("../../test/samples/landscape.jpg", import.meta.url)));
  const pasted = (base: Buffer, input: Buffer) =>
    sharp(base)
      .composite([{ input, left: 310, top: 330 }])
      .png()
      .toBuffer();
  const patchOf = (picture: Buffer) =>
    sharp(picture).extract({ left: 40, top: 320, width: 150, height: 150 }).png().toBuffer();

  it.each([
    [
      "that was copied",
      async () => {
        const base = await photo().extract({ left: 100, top: 60, width: side, height: side }).png().toBuffer();
        return pasted(base, await patchOf(base));
      },
      "copied",
      "copied_region",
    ],
    [
      "that was compressed apart from the rest",
      async () => {
        // Halved: what its own JPEG left is gone.
        const base = await photo().resize(side, side, { fit: "cover" }).png().toBuffer();
        return pasted(base, await patchOf(await sharp(base).jpeg({ quality: 55 }).toBuffer()));
      },
      "recompressed",
      "jpeg_ghost",
    ],
  ] as const)("%s", async (_, forge, trace, code) => {
    const forged = await forge();
    // A network that sees the pasted place and nothing else, at .7.
    const map = new Uint8Array(side * side);
    for (let y = 330; y < 480; y++) map.fill(180, y * side + 310, y * side + 460);
    const batcher: Served["batcher"] = {
      run: async ({ width, height }) => ({
        probability: width === side && height === side ? map : new Uint8Array(width * height),
        score: 0.4,
        gate: 1,
        domain: [1, 0, 0, 0],
      }),
    };
    const { manifest } = served;
    const { view, relative_floor: __, copies: ___, ...pipeline } = manifest.pipeline;
    const { features, weights, bias } = manifest.score;
    const weight = 2.5;
    const weighed = {
      ...manifest,
      pipeline: { ...pipeline, view: { ...view, weights: [0, 0, 0, 0] } },
      score: { features, weights, bias, [trace]: weight },
    };
    const look = async (options: object, release: Served["manifest"] = weighed) => {
      const none = { outputs: [], pictures: { report: false, prompt: false } };
      const asked = analysisOptions.parse({ interpretation: "none", ...options });
      const job = { bytes: forged, sha256: "0".repeat(64), ...none, options: asked };
      const given = { ...served, batcher, manifest: release };
      return (await analyse(job, given, new AbortController().signal, () => undefined)).finding;
    };
    const logit = ({ score }: { score: number }) => Math.log(score / (1 - score));
    const found = await look({});
    expect(found.evidence.map((evidence) => evidence.code)).toContain(code);
    const without = await look({}, { ...weighed, score: { features, weights, bias } });
    expect(logit(found) - logit(without)).toBeCloseTo(weight, 6);
    expect((await look({ evidence: false })).score).toBe(found.score);
    // At this threshold no region is left: the score rests on the release's own.
    const strict = await look({ threshold: 0.9 });
    expect(strict.regions).toEqual([]);
    expect(strict.score).toBe(found.score);
  });
});

describe("where something was copied and the network reacts too little", () => {
  const side = 512;
  const place = { left: 310, top: 330, width: 150, height: 150 };
  /** A network that is shown a copy from (40, 320) and finds it by .3 where it was pasted. */
  async function look(domain: number[], copies: Served["manifest"]["pipeline"]["copies"]) {
    const photo = sharp(readFileSync(new URL("../../test/samples/landscape.jpg", import.meta.url)));
    const base = await photo.extract({ left: 100, top: 60, width: side, height: side }).png().toBuffer();
    const patch = await sharp(base)
      .extract({ ...place, left: 40, top: 320 })
      .png()
      .toBuffer();
    const bytes = await sharp(base)
      .composite([{ input: patch, left: place.left, top: place.top }])
      .png()
      .toBuffer();
    const probability = new Uint8Array(side * side).fill(10);
    for (let y = place.top; y < place.top + place.height; y++) {
      probability.fill(76, y * side + place.left, y * side + place.left + place.width);
    }
    const { manifest } = served;
    const { view, relative_floor: _, ...pipeline } = manifest.pipeline;
    const given = {
      ...served,
      batcher: { run: async () => ({ probability, score: 0.4, gate: 1, domain }) },
      manifest: { ...manifest, pipeline: { ...pipeline, view: { ...view, weights: [0, 0, 0, 0] }, copies } },
    };
    const job = {
      bytes,
      sha256: "0".repeat(64),
      outputs: [],
      pictures: { report: false, prompt: false },
      options: analysisOptions.parse({ interpretation: "none" }),
    };
    const { finding } = await analyse(job, given, new AbortController().signal, () => undefined);
    return { regions: finding.regions, codes: finding.evidence.map(({ code }) => code) };
  }
  const policy = { raise: 4, least_difference: 0.5, least_logit: -2 };
  const [natural, document] = [
    [1, 0, 0, 0],
    [0, 1, 0, 0],
  ];

  it("the copy is found, its original is not, and both are named", async () => {
    const { regions, codes } = await look(natural, policy);
    expect(regions).toHaveLength(1);
    const { x = 0, y = 0, width = 0, height = 0 } = regions[0]?.bbox ?? {};
    const middle = [x + width / 2, y + height / 2];
    expect(Math.abs((middle[0] ?? 0) - (place.left + place.width / 2))).toBeLessThan(20);
    expect(Math.abs((middle[1] ?? 0) - (place.top + place.height / 2))).toBeLessThan(20);
    expect(regions[0]?.area_fraction).toBeGreaterThan(0.05);
    expect(codes).toContain("copied_region");
  });

  it("nothing is in a picture of text, where letters repeat, nor by a release that does not say so", async () => {
    for (const [domain, copies] of [
      [document, policy],
      [natural, undefined],
    ] as const) {
      const { regions, codes } = await look([...domain], copies);
      expect(regions).toEqual([]);
      expect(codes).not.toContain("copied_region");
    }
  });
});

it.each([
  [1600, 70],
  [70, 1600],
  [64, 64],
])("takes an image of %i × %i pixels, the view of it included", async (width, height) => {
  const noise = { type: "gaussian" as const, mean: 128, sigma: 40 };
  const bytes = await sharp({ create: { width, height, channels: 3, background: "grey", noise } })
    .jpeg()
    .toBuffer();
  const { finding, files } = await runOn(bytes);
  expect(await sharp(files.probability).metadata()).toMatchObject({ width, height });
  expect(finding.score).toBeGreaterThan(0);
});

describe("interpretation", () => {
  const sample = readFileSync(new URL("../../test/samples/balloon-forged.jpg", import.meta.url));
  const job = {
    bytes: sample,
    sha256: "0".repeat(64),
    outputs: [],
    pictures: { report: true, prompt: true },
    options: analysisOptions.parse({ threshold: 0.2 }),
  };
  const look = (served: Served) => analyse(job, served, new AbortController().signal, () => undefined);

  it("is named as not run where the release has none, and the analysis goes on", async () => {
    const { finding } = await look({ ...served, interpreter: null });
    expect(finding.degraded_checks.map(({ check }) => check)).toContain("interpretation");
    expect(finding.regions.length).toBeGreaterThan(0);
    expect(finding.regions.every(({ interpretation }) => interpretation === null)).toBe(true);
  });

  it("describes regions with the release's network, and gives pictures of them to those who describe them otherwise", async () => {
    const file = fileURLToPath(new URL("../interpretation/stand-in/interpretation.onnx", import.meta.url));
    const interpreter = await loadInterpreter(file, "cpu", { threads: 1, mostTogether: mostInterpreted });
    const manifest = { ...served.manifest, interpretation: standInManifest };
    const { finding, pictures } = await look({ ...served, manifest, interpreter });
    expect(finding.degraded_checks).toEqual([]);
    const [first] = finding.regions;
    expect(first?.interpretation?.description).toContain(`${first?.id} (`);
    const { width, height } = await sharp(pictures.report?.image).metadata();
    expect([width, height]).toEqual([finding.image.width, finding.image.height]);
    expect(await sharp(pictures.report?.overlay).metadata()).toMatchObject({ width, height, format: "jpeg" });
    const { prompt } = pictures;
    if (prompt === null) throw new Error("there are no pictures for a language model");
    expect(prompt.boxes.map(({ id }) => id).sort()).toEqual(finding.regions.slice(0, 6).map(({ id }) => id));
    const rgb = (png: Uint8Array) => sharp(png).raw().toBuffer();
    const [image, reference] = [await rgb(prompt.image), await rgb(prompt.reference)];
    // I_ref = (I + M) / 2: where no region is, M is black.
    const doubled = Array.from(reference.subarray(0, 30), (value) => 2 * value);
    doubled.forEach((value, i) => {
      expect(Math.abs(value - (image[i] ?? 0))).toBeLessThanOrEqual(2);
    });
    expect(reference.some((value) => value > 128)).toBe(true);
  });

  it("that fails is named, and the analysis goes on without it", async () => {
    const interpreter: Interpreter = { read: () => Promise.reject(new Error("out of memory")) };
    const manifest = { ...served.manifest, interpretation: standInManifest };
    const { finding } = await look({ ...served, manifest, interpreter });
    expect(finding.degraded_checks).toContainEqual({
      check: "interpretation",
      reason: "The interpretation model failed: out of memory",
      retryable: true,
    });
  });
});

describe("the files", () => {
  it.each(["baseline-420.jpg", "orientation-6.jpg", "orientation-5.jpg", "photo.heic", "cmyk.jpg", "grey16.png"])(
    "of %s have the displayed image's size",
    async (name) => {
      const { finding, files } = await run(name);
      for (const file of ["probability", "mask", "overlay"] as const) {
        const { width, height } = await sharp(files[file]).metadata();
        expect([width, height]).toEqual([finding.image.width, finding.image.height]);
      }
      expect(await sharp(files.probability).metadata()).toMatchObject({ format: "png", channels: 1, depth: "uchar" });
      const mask = await pixelsOf(files.mask);
      expect(await sharp(files.mask).metadata()).toMatchObject({ format: "png", channels: 1, depth: "uchar" });
      expect(mask.data.every((value) => value === 0 || value === 255)).toBe(true);
    },
  );

  it("of the eight orientations are what the model said on the stored grid, turned", async () => {
    const upright = await run("orientation-6.jpg");
    expect(upright.finding.image).toMatchObject({ width: 96, height: 72, orientation: 6 });
    const map = await pixelsOf(upright.files.probability);
    // The same file without its tag gives the map as stored.
    const stored = readFileSync(new URL("orientation-6.jpg", golden));
    stored.writeUInt16LE(1, stored.indexOf(Buffer.from([0x12, 0x01, 0x03, 0x00])) + 8);
    const bigEndian = stored.indexOf(Buffer.from([0x01, 0x12, 0x00, 0x03]));
    if (bigEndian >= 0) stored.writeUInt16BE(1, bigEndian + 8);
    const untagged = await analyse(
      {
        bytes: stored,
        sha256: "",
        outputs: ["probability"],
        pictures: { report: false, prompt: false },
        options: analysisOptions.parse({}),
      },
      served,
      new AbortController().signal,
      () => undefined,
    );
    expect(untagged.finding.image).toMatchObject({ width: 72, height: 96, orientation: 1 });
    const turned = await sharp(untagged.files.probability).rotate(90).toColourspace("b-w").raw().toBuffer();
    expect(turned.equals(map.data)).toBe(true);
    expect(untagged.finding.score).toBeCloseTo(upright.finding.score, 9);
  });

  it("follow the asked threshold: mask and regions grow as it falls", async () => {
    const share = async (threshold: number) => {
      const { files, finding } = await run("progressive-420.jpg", { threshold });
      expect(finding.threshold).toBe(threshold);
      const { data } = await pixelsOf(files.mask);
      const map = await pixelsOf(files.probability);
      expect(Array.from(data)).toEqual(
        Array.from(map.data, (value) => (value >= Math.ceil(threshold * 255) ? 255 : 0)),
      );
      return data.reduce((sum, value) => sum + value, 0);
    };
    expect(await share(0.001)).toBeGreaterThanOrEqual(await share(0.999));
  });
});

describe("the finding", () => {
  it("states the facts of the file", async () => {
    const { finding } = await run("progressive-420.jpg");
    expect(finding.image).toMatchObject({
      format: "jpeg",
      width: 151,
      height: 97,
      frames: 1,
      jpeg: { quality: 85, subsampling: "4:2:0", progressive: true },
    });
    expect(finding.input_quality.map(({ code }) => code)).toEqual(["too_small"]);
    expect(finding.evidence.map(({ code }) => code)).toContain("quantization_table_standard");
    expect(finding.score).toBeGreaterThan(0);
    expect(finding.score).toBeLessThan(1);
    expect(finding.domain.confidence).toBeGreaterThan(0.25);
  });

  it("says what the input is too poor for, and leaves evidence out where it is not wanted", async () => {
    const animated = await run("animated.webp", { evidence: false });
    expect(animated.finding.input_quality.map(({ code }) => code)).toEqual([
      "too_small",
      "not_jpeg",
      "first_of_several",
    ]);
    expect(animated.finding.evidence).toEqual([]);
    expect((await run("progressive-444.jpg")).finding.input_quality.map(({ code }) => code)).toContain(
      "heavily_compressed",
    );
  });

  it("does not call clear what the input is too poor for, and calls clear what it is good enough for", async () => {
    const suspiciousOfNothing = { ...served.manifest.thresholds, tampered: 1.1, clear: 1 };
    const innocent = { ...served, manifest: { ...served.manifest, thresholds: suspiciousOfNothing } };
    const photo = await sharp(readFileSync(new URL("../../test/samples/landscape.jpg", import.meta.url)))
      .extract({ left: 200, top: 100, width: 320, height: 320 })
      .png()
      .toBuffer();
    const look = async (bytes: Uint8Array) => {
      const none = { outputs: [], pictures: { report: false, prompt: false } };
      const job = { bytes, sha256: "0".repeat(64), ...none, options: analysisOptions.parse({ evidence: false }) };
      const { finding } = await analyse(job, innocent, new AbortController().signal, () => undefined);
      return [finding.verdict, finding.input_quality[0]?.code];
    };
    expect(await look(photo)).toEqual(["no_tampering_detected", "not_jpeg"]);
    expect(await look(await sharp(photo).resize(100).png().toBuffer())).toEqual(["inconclusive", "too_small"]);
    expect(await look(await sharp(photo).jpeg({ quality: 20 }).toBuffer())).toEqual([
      "inconclusive",
      "extremely_compressed",
    ]);
    const enlarged = sharp(photo).extract({ left: 80, top: 80, width: 110, height: 110 }).resize(440, 440);
    expect(await look(await enlarged.png().toBuffer())).toEqual(["inconclusive", "enlarged"]);
  });

  it("is the same for the same bytes", async () => {
    const [one, other] = [await run("baseline-444.jpg"), await run("baseline-444.jpg")];
    expect({ ...other.finding, timings: null }).toEqual({ ...one.finding, timings: null });
    expect(other.files.probability).toEqual(one.files.probability);
  });
});

it("passes a file's own problem on", async () => {
  await expect(run("animated.gif")).rejects.toBeInstanceOf(Problem);
});

it("the graph obeys the override, and its own decision is the gate's", async () => {
  const side = 96;
  const pixels = Uint8Array.from({ length: side * side * 3 }, (_, i) => (i * 7919) % 256);
  const once = (override: -1 | 0 | 1) =>
    session.run({
      count: 1,
      height: side,
      width: side,
      pixels,
      qtable: new Int32Array(64).fill(9),
      jpeg: Uint8Array.of(1),
      modalityOverride: Int8Array.of(override),
    });
  const own = await once(gateDecides);
  const same = await once((own.gate[0] ?? 0) > 0.5 ? useFused : useRgb);
  expect(same.probability).toEqual(own.probability);
  expect(own.domain.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 4);
});
