/** The costs of infra/README.md: the sums are right, and what they say was measured is what the README says of it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { repository } from "./local/stack.ts";

const page = readFileSync(join(repository, "infra/README.md"), "utf8").replace(/\s+/g, " ");
const section = page.slice(page.indexOf("## Costs per million images"), page.indexOf("## What is checked"));
const rows = new Map(
  [...section.matchAll(/\| ([^|]+) \|([^|]*)\| (\**[\d.]+\**) (?=\|)/g)].map(
    ([, part = "", what = "", dollars = ""]) => [
      part.replaceAll("*", "").trim(),
      { what: what.trim(), dollars: Number(dollars.replaceAll("*", "")) },
    ],
  ),
);

/** A price of the assumptions: the number that stands before the words. */
function price(words: string): number {
  const found = new RegExp(`([\\d.]+) ${words}`).exec(section)?.[1];
  if (found === undefined) throw new Error(`no price "${words}"`);
  return Number(found);
}

/** The numbers of a part, in their order. */
function numbers(part: string): number[] {
  return [...(rows.get(part)?.what ?? "").matchAll(/[\d.]+/g)].map(([number]) => Number(number));
}

function dollars(part: string): number {
  const found = rows.get(part)?.dollars;
  if (found === undefined) throw new Error(`no part "${part}"`);
  return found;
}

const [requests, cpu] = [price("a million requests and"), price("a million ms of CPU")];
const [objectRequests, gigabyteSeconds] = [price("a million requests, 12"), price("a million GB-s")];
const [writes, reads, month] = [price("a million writes"), price("a million reads"), price("a GB-month")];
const rowWritten = price("a million rows written");

/** What each part comes to, from its own figures and the prices above it. */
const worth: Readonly<Record<string, (figures: readonly number[]) => number>> = {
  Worker: ([million = 0, ms = 0]) => million * requests + ms * cpu,
  "Durable Objects, requests": ([million = 0]) => million * objectRequests,
  "Durable Objects, time": ([objects = 0, megabytes = 0, seconds = 0]) =>
    ((objects * megabytes * seconds) / 1024) * gigabyteSeconds,
  "Durable Objects, rows": ([million = 0]) => million * rowWritten,
  "R2, operations": ([written = 0, read = 0]) => written * writes + read * reads,
  "R2, storage": ([gigabytes = 0]) => gigabytes * month,
  D1: ([million = 0]) => million * rowWritten,
};

it.each(Object.entries(worth))("%s comes to what is said", (part, of) => {
  const figures = numbers(part);
  expect(figures.length).toBeGreaterThan(0);
  expect(Math.round(of(figures))).toBe(dollars(part));
});

it("the edge is the sum of its parts", () => {
  const sum = Object.keys(worth).reduce((total, part) => total + dollars(part), 0);
  expect(dollars("Edge")).toBe(sum);
});

it("the runner's is worked out of the cost by the megapixel that the README gives", () => {
  const [seconds = "", hours = "", share = ""] =
    /^([\d.]+) s a megapixel .*: (\d+) hours of two cores at ([\d.]+)/
      .exec(rows.get("Runner on CPUs, measured")?.what ?? "")
      ?.slice(1) ?? [];
  expect(readFileSync(join(repository, "README.md"), "utf8").replace(/\s+/g, " ")).toContain(
    `${seconds} s a megapixel`,
  );
  expect(Number(hours)).toBe(Math.round((Number(seconds) * 1e6) / 3600));
  expect(dollars("Runner on CPUs, measured")).toBe(Math.round(2 * Number(hours) * Number(share)));
});

it("a GPU's follows from the price and the speed that are named", () => {
  const [hours = 0, hourly = 0, speed = 0] = [
    /(\d+) × price an hour/,
    /at ([\d.]+) an hour/,
    /and (\d+) images a second/,
  ].map((pattern) => Number(pattern.exec(rows.get("Runner on a GPU, not measured")?.what ?? "")?.[1]));
  expect(hours).toBe(Math.round(1e6 / 3600));
  expect(dollars("Runner on a GPU, not measured")).toBe(Math.round((hours * hourly) / speed));
});
