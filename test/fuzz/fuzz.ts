/**
 * `npm run test:fuzz`: broken and hostile inputs, at least 20,000. Each must end in a result or a problem, within ten
 * seconds, in bounded memory; what does not is named with all that repeats it, and the exit status is 1.
 *
 *   --inputs N     mutated files (14,000; properties and the corpus come on top)
 *   --seed N       repeats a run (the time, by default)
 *   --keep FOLDER  where files go that crashed, hung or failed otherwise
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { goldenImages, type HostileImage, hostileImages } from "./hostile-images.ts";
import { mutate } from "./mutations.ts";
import { properties } from "./properties.ts";
import { SeededRandom } from "./random.ts";
import { hangLimit, Reading, type Tally } from "./reading.ts";

/** What reading files of at most some megabytes may take, in bytes: four megapixels, their decoder, and Node. */
const memoryLimit = 700 * 2 ** 20;

const { values } = parseArgs({
  options: {
    inputs: { type: "string", default: "14000" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
    keep: { type: "string", default: "" },
  },
});
const seed = Number(values.seed);
const wanted = Number(values.inputs);
const findings: string[] = [];
const rows: string[][] = [];

function report(name: string, tally: Tally): void {
  const { inputs, results, problems, crashes, hangs, slowest, memory } = tally;
  const seconds = `${(slowest / 1000).toFixed(2)} s`;
  rows.push(
    [name, inputs, results, problems, crashes, hangs, seconds, `${Math.round(memory / 2 ** 20)} MB`].map(String),
  );
  process.stdout.write(`${rows.at(-1)?.join("  ")}\n`);
  if (memory > memoryLimit) findings.push(`${name}: the process grew to ${Math.round(memory / 2 ** 20)} MB`);
}

function keep(name: string, bytes: Buffer, why: string): void {
  findings.push(`${name}: ${why}`);
  if (values.keep === "") return;
  mkdirSync(values.keep, { recursive: true });
  writeFileSync(join(values.keep, name.replaceAll(/[^a-z0-9]+/gi, "-")), bytes);
}

async function corpus(images: readonly HostileImage[]): Promise<void> {
  await using reading = new Reading();
  for (const { name, bytes, ends } of images) {
    const outcome = await reading.read(bytes);
    if (outcome.end === "error") keep(name, bytes, outcome.stack);
    else if (outcome.end !== "result" && outcome.end !== "problem") keep(name, bytes, outcome.end);
    else if (ends !== "any" && outcome.end !== ends) {
      keep(name, bytes, `ended in a ${outcome.end}${"code" in outcome ? ` (${outcome.code})` : ""}, not in a ${ends}`);
    }
  }
  report("corpus of hostile and strange images", reading.tally);
}

async function mutations(images: readonly HostileImage[]): Promise<void> {
  const bases = images.filter(({ bytes }) => bytes.length < 200_000);
  const formats = new Map<string, HostileImage[]>();
  for (const image of bases) {
    const format = formatOf(image.bytes);
    formats.set(format, [...(formats.get(format) ?? []), image]);
  }
  const share = Math.ceil(wanted / formats.size);
  for (const [format, files] of formats) {
    await using reading = new Reading();
    // By format its own, so that each can be repeated by itself.
    const random = new SeededRandom(seed + format.length * 7919 + format.charCodeAt(0));
    for (let n = 0; n < share; n++) {
      const base = random.pick(files);
      const bytes = mutate(base.bytes, random, random.pick(bases).bytes);
      const outcome = await reading.read(bytes);
      const name = `${format} ${n} of seed ${seed}, from ${base.name}`;
      if (outcome.end === "error") keep(name, bytes, outcome.stack);
      else if (outcome.end !== "result" && outcome.end !== "problem") keep(name, bytes, outcome.end);
    }
    report(`mutations: ${format}`, reading.tally);
  }
}

function formatOf(bytes: Buffer): string {
  const start = bytes.toString("latin1", 0, 12);
  if (start.startsWith("\xff\xd8")) return "JPEG";
  if (start.startsWith("\x89PNG")) return "PNG";
  if (start.startsWith("RIFF")) return "WebP";
  if (/^(II|MM)/.test(start)) return "TIFF";
  if (/ftyp(avi|mif)/.test(start)) return "AVIF";
  if (/ftyp/.test(start)) return "HEIC";
  return "other";
}

async function laws(): Promise<void> {
  for (const { name, runs, check } of properties) {
    const start = performance.now();
    const held = await check(runs, seed).then(
      () => true,
      (error: unknown) => {
        findings.push(`${name}: ${error instanceof Error ? error.message : error}`);
        return false;
      },
    );
    const seconds = `${((performance.now() - start) / 1000).toFixed(2)} s in all`;
    rows.push([`property: ${name}`, String(runs), held ? "held" : "broken", "", "0", "0", seconds, ""]);
    process.stdout.write(`${rows.at(-1)?.join("  ")}\n`);
  }
}

process.stdout.write(`seed ${seed}; a file may take ${hangLimit / 1000} s and ${memoryLimit / 2 ** 20} MB\n`);
const hostile = await hostileImages();
const golden = goldenImages();
await laws();
await corpus([...golden, ...hostile]);
await mutations([...golden, ...hostile.filter(({ ends }) => ends !== "problem")]);

const heads = ["input", "inputs", "results", "problems", "crashes", "hangs", "slowest", "memory"];
const total = rows.reduce((sum, row) => sum + Number(row[1]), 0);
process.stdout.write(
  `\n${[heads, heads.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n")}\n`,
);
process.stdout.write(`\n${total} inputs, ${findings.length} findings\n`);
for (const finding of findings.slice(0, 50)) process.stdout.write(`- ${finding}\n`);
if (findings.length > 0) process.exitCode = 1;
