/** The text in regions of real pictures, by the recogniser itself. */
import { readFileSync } from "node:fs";
import type { Region } from "@omni-iml/shared/analysis";
import sharp from "sharp";
import { expect, it, vi } from "vitest";
import { decodeImage } from "../../image/decode.ts";
import { region } from "../../testing/finding.ts";
import { Findings } from "../findings.ts";
import type { Word } from "./recognize.ts";
import { mostRead, type ReadingTime, readRegions, textOf } from "./regions.ts";

/** A busy machine takes ten times what an idle one does. */
vi.setConfig({ testTimeout: 180_000 });
const patient: ReadingTime = { region: 120_000, all: 120_000 };

const sample = (name: string) => readFileSync(new URL(`../../../test/samples/${name}.jpg`, import.meta.url));

const at = (x: number, y: number, width: number, height: number, id = "r1"): Region => ({
  ...region,
  id,
  bbox: { x, y, width, height },
});

async function read(bytes: Uint8Array, regions: readonly Region[], time = patient) {
  const { signal } = new AbortController();
  const findings = new Findings(signal);
  const texts = await readRegions(await decodeImage(bytes, 1e7), regions, signal, findings, time);
  return { texts, degraded: findings.degraded };
}

it("is read in a document and on a sign, the whole of a word of which a region holds a part", async () => {
  const receipt = await read(sample("receipt-forged"), [
    at(500, 713, 112, 32),
    // Two digits of 38.50.
    at(522, 350, 36, 26, "r2"),
    at(60, 60, 560, 150, "r3"),
  ]);
  expect([...receipt.texts].map(([id, { text }]) => [id, text])).toEqual([
    ["r1", "942.08"],
    ["r2", "38.50"],
    ["r3", "HARBOUR STREET HARDWARE 14 Harbour Street Tel 555 0142"],
  ]);
  for (const { confidence } of receipt.texts.values()) expect(confidence).toBeGreaterThan(0.8);
  expect(receipt.degraded).toEqual([]);
  const sign = await read(sample("sign"), [at(300, 140, 290, 40)]);
  expect(sign.texts.get("r1")?.text).toBe("PARKING");
});

it("is read upright, however the stored grid lies", async () => {
  // Stored a quarter turn to the left, to be turned right for display: 704 × 992 as before.
  const turned = await sharp(sample("receipt-forged")).rotate(270).withMetadata({ orientation: 6 }).jpeg().toBuffer();
  const { texts } = await read(turned, [at(500, 713, 112, 32)]);
  expect(texts.get("r1")?.text).toBe("942.08");
});

it("is not claimed of textures, empty paper and specks", async () => {
  for (const name of ["kitten-forged", "balloon-forged", "portrait-forged"]) {
    const { texts } = await read(sample(name), [at(100, 100, 200, 200), at(40, 300, 300, 120, "r2")]);
    expect([name, ...texts.values()]).toEqual([name]);
  }
  const { texts } = await read(sample("receipt-forged"), [at(100, 910, 300, 60), at(500, 713, 4, 4, "r2")]);
  expect([...texts.values()]).toEqual([]);
});

it("that takes too long is given up and named, and the next one is read", async () => {
  const late = await read(sample("receipt-forged"), [at(500, 713, 112, 32)], { region: 1, all: 120_000 });
  expect(late.texts.size).toBe(0);
  expect(late.degraded).toEqual([expect.objectContaining({ check: "text", retryable: true })]);
  const cut = await read(sample("receipt-forged"), [at(500, 713, 112, 32)], { region: 120_000, all: -1 });
  expect(cut.degraded).toEqual([{ check: "text", reason: "Only 0 of 1 regions were looked at for text." }]);
  const next = await read(sample("receipt-forged"), [at(500, 713, 112, 32)]);
  expect(next.texts.get("r1")?.text).toBe("942.08");
});

it("of many regions is that of the first ones", async () => {
  const rows = Array.from({ length: mostRead + 2 }, (_, i) => at(500, 303 + 46 * (i % 6), 112, 26, `r${i + 1}`));
  const { texts, degraded } = await read(sample("receipt-forged"), rows);
  expect([...texts.values()].map(({ text }) => text)).toEqual(["6.20", "38.50", "44.90", "12.75", "4.15", "11.90"]);
  expect(degraded).toEqual([]);
});

const wide = { left: 0, top: 0, right: 1000, bottom: 1000 };
function word(text: string, confidence: number, left: number, line = 0): Word {
  return { text, confidence, line, box: { left, top: 10 + 40 * line, right: left + 80, bottom: 40 + 40 * line } };
}

it("is not told below the least confidence, nor where most of what is seen was not read", () => {
  expect(textOf([word("TOTAL", 0.9, 100)], wide, wide)).toEqual({ text: "TOTAL", confidence: expect.closeTo(0.9) });
  expect(textOf([word("TOTAL", 0.79, 100)], wide, wide)).toBeNull();
  expect(textOf([word("TOTAL", 0.95, 100), word("wlkjhg", 0.3, 200)], wide, wide)).toBeNull();
  expect(textOf([word("8", 0.96, 100)], wide, wide)).toBeNull();
});

it("leaves out borders and words that the picture cuts off or that stand elsewhere", () => {
  const line = [word("|", 0.96, 0), word("8", 0.94, 100), word("-", 0.9, 200), word("6pm", 0.95, 300)];
  expect(textOf([...line, word("|", 0.95, 400)], wide, wide)?.text).toBe("8 - 6pm");
  expect(textOf([word("942.08", 0.95, 100)], wide, { ...wide, left: 110 })).toBeNull();
  expect(textOf([word("942.08", 0.95, 100)], { ...wide, top: 30 }, wide)).toBeNull();
});

it("is told row by row, each from the left", () => {
  const pieces = [word("right", 0.9, 500, 0), word("second", 0.9, 0, 1), word("left", 0.9, 0, 0)];
  // Pieces of a row are lines of their own to the recogniser.
  const lines = pieces.map((piece, line) => ({ ...piece, line }));
  expect(textOf(lines, wide, wide)?.text).toBe("left right second");
});
