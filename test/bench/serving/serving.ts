/**
 * The runner against what one would take instead: FastAPI with onnxruntime, LitServe, BentoML; the same ONNX file, the
 * same jobs (download from storage, digest, pipeline, two uploads), the same images, in one run and in turns (A B B A).
 *
 *   npm run bench:serving [-- --rounds 5] [--seconds 10] [--clients 16] [--size 320] [--against FastAPI,LitServe,BentoML]
 *     [--python FOLDER/bin] [--plot FILE]
 *
 * For each contender and round: one client, then `--clients` at a time, then four times as many images a second as it
 * has just done, from clients that wait `--patience` seconds and no longer. Each starts anew for each round: some do not
 * recover from their overload. `--rounds 0` with `--plot` draws and compares nothing. Besides images a second it prints images a
 * processor second: on a machine that others use as well, whoever has more threads at work gets more of it, and the first
 * figure says as much about that as about the servers. `--plot` writes the runner's images a second
 * over 1, 2, 4 … clients as SVG. Needs the packages of requirements.txt.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import sharp from "sharp";
import { LocalStorage } from "../../../gpu-runner/testing/storage.ts";
import { drawPlot } from "../plot.ts";
import { inTurns, inWords, quantile, ratioOf } from "../ratio.ts";
import { type Contender, othersOf, runnerOf } from "./contenders.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "10" },
    clients: { type: "string", default: "16" },
    size: { type: "string", default: "320" },
    patience: { type: "string", default: "10" },
    against: { type: "string", default: "FastAPI,LitServe,BentoML" },
    python: { type: "string", default: fileURLToPath(new URL(".venv/bin", import.meta.url)) },
    plot: { type: "string" },
  },
});
const [rounds, seconds, clients] = [Number(values.rounds), Number(values.seconds), Number(values.clients)];
const patience = 1000 * Number(values.patience);
/** Milliseconds that nobody's answer takes. */
const forever = 600_000;
/** How many times as much as it can do comes in an overload. */
const overload = 4;
/** Maps may differ by decoders and by how the view is enlarged (libvips and Pillow differ by 3 %); a wrong pipeline differs everywhere. */
const largestStep = 8;
const largestShareOff = 0.04;

interface Figures {
  readonly imagesPerSecond: number[];
  /** For each second of processor time, of the server and all that it started. */
  readonly imagesPerProcessorSecond: number[];
  readonly p95: number[];
  readonly goodput: number[];
  readonly refused: number[];
}

/** Crops of the bundled photos, all of one size. */
async function images(): Promise<Buffer[]> {
  const width = Number(values.size);
  const height = Math.round((width * 3) / 4);
  const photos = ["balloon-authentic", "balloon-forged", "receipt-authentic", "receipt-forged"];
  return Promise.all(
    photos.flatMap((name, i) => {
      const photo = readFileSync(new URL(`../../samples/${name}.jpg`, import.meta.url));
      return [0, 64].map((left) =>
        sharp(photo)
          .extract({ left, top: 40 * i, width, height })
          .jpeg({ quality: 90 })
          .toBuffer(),
      );
    }),
  );
}

async function pixelsOf(png: Uint8Array | null): Promise<Buffer> {
  if (png === null) throw new Error("a server that has nothing to do refused an image");
  return sharp(png).toColourspace("b-w").raw().toBuffer();
}

/** The same work gives the same map. */
async function compareMaps(contender: Contender, expected: readonly Buffer[]): Promise<void> {
  let off = 0;
  let total = 0;
  for (const [i, sample] of samples.entries()) {
    const map = expected[i] ?? Buffer.alloc(0);
    const found = await pixelsOf(await contender.analyse(sample, forever));
    if (found.length !== map.length) throw new Error(`${contender.name}'s map has another size`);
    total += map.length;
    for (const [at, value] of map.entries()) if (Math.abs(value - (found[at] ?? 0)) > largestStep) off++;
  }
  const share = off / total;
  process.stdout.write(
    `${contender.name}: ${(100 * share).toFixed(3)} % of the map more than ${largestStep}/255 off\n`,
  );
  if (share > largestShareOff) throw new Error(`${contender.name} does not do the same work`);
}

/** Closed loop: so many clients, each sends its next image when it has the answer. Milliseconds of each answer, and of all. */
async function closedLoop(contender: Contender, together: number) {
  const start = performance.now();
  const latencies: number[] = [];
  let sent = 0;
  const client = async () => {
    while (performance.now() - start < 1000 * seconds) {
      const began = performance.now();
      const map = await contender.analyse(samples[sent++ % samples.length] ?? Buffer.alloc(0), forever);
      if (map === null) await sleep(50);
      else latencies.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: together }, client));
  return { latencies, took: performance.now() - start };
}

/** Open loop: images come at a fixed rate, whether the last one was answered or not. Answers in time a second. */
async function openLoop(contender: Contender, rate: number) {
  const start = performance.now();
  const length = 2000 * seconds;
  /** The queue has to fill before its state is that of an overload. */
  const counted = length / 4;
  let answered = 0;
  let refused = 0;
  const waiting: Promise<void>[] = [];
  for (let sent = 0; performance.now() - start < length; sent++) {
    waiting.push(
      contender.analyse(samples[sent % samples.length] ?? Buffer.alloc(0), patience).then(
        (map) => {
          const at = performance.now() - start;
          if (map === null) refused++;
          else if (at >= counted && at <= length) answered++;
        },
        // Too late, or the connection was refused: both are no answer.
        () => undefined,
      ),
    );
    await sleep(Math.max(0, start + (1000 * (sent + 1)) / rate - performance.now()));
  }
  await Promise.all(waiting);
  return { goodput: (1000 * answered) / (length - counted), refused: refused / waiting.length };
}

const samples = await images();
await using storage = await LocalStorage.start();
const ours = runnerOf(storage);
const others = othersOf(values.against.split(","), storage, values.python, availableParallelism());
const all = [ours, ...others];

const figures = new Map<string, Figures>(
  all.map(({ name }) => [
    name,
    { imagesPerSecond: [], imagesPerProcessorSecond: [], p95: [], goodput: [], refused: [] },
  ]),
);
/** The runner's maps, which come first in the first round. */
const maps: Buffer[] = [];
for (let round = 0; round < rounds; round++) {
  for (const entrant of inTurns(all, round)) {
    const own = figures.get(entrant.name);
    if (own === undefined) continue;
    await using contender = await entrant.start();
    if (entrant === ours && maps.length === 0) {
      for (const sample of samples) maps.push(await pixelsOf(await contender.analyse(sample, forever)));
    } else if (round === 0) await compareMaps(contender, maps);
    // Just-in-time compilers, pools and caches get warm before anything counts.
    await closedLoop(contender, clients);
    const alone = await closedLoop(contender, 1);
    own.p95.push(quantile(alone.latencies, 0.95));
    const before = contender.program.processorSeconds;
    const busy = await closedLoop(contender, clients);
    const thrift = busy.latencies.length / (contender.program.processorSeconds - before);
    own.imagesPerProcessorSecond.push(thrift);
    const rate = (1000 * busy.latencies.length) / busy.took;
    own.imagesPerSecond.push(rate);
    const flooded = await openLoop(contender, overload * rate);
    own.goodput.push(flooded.goodput / rate);
    own.refused.push(flooded.refused);
    process.stdout.write(
      `round ${round + 1} ${contender.name}: p95 ${own.p95.at(-1)?.toFixed(0)} ms alone, ` +
        `${rate.toFixed(2)} images/s and ${thrift.toFixed(2)} a processor second with ${clients} clients, at four times that ${flooded.goodput.toFixed(2)} in time ` +
        `(${(100 * flooded.refused).toFixed(0)} % refused at once); load ${loadavg()[0]?.toFixed(1)}\n`,
    );
  }
}

function tellRatios(): void {
  const mine = figures.get(ours.name);
  if (mine === undefined) throw new Error("the runner was not measured");
  const geometricMean = (list: readonly number[]) =>
    Math.exp(list.reduce((sum, value) => sum + Math.log(Math.max(value, 1e-3)), 0) / list.length);
  process.stdout.write(`\nrunner against each, ${rounds} rounds, images ${values.size} pixels wide, 95 % intervals\n`);
  for (const other of others) {
    const theirs = figures.get(other.name);
    if (theirs === undefined) continue;
    process.stdout.write(
      `  ${other.name}: images/s ${inWords(ratioOf(mine.imagesPerSecond, theirs.imagesPerSecond))}, ` +
        `images a processor second ${inWords(ratioOf(mine.imagesPerProcessorSecond, theirs.imagesPerProcessorSecond))}, ` +
        `p95 alone ${inWords(ratioOf(mine.p95, theirs.p95))}\n`,
    );
  }
  process.stdout.write("in time at four times the load, of the own maximum:\n");
  for (const [name, { goodput }] of figures) process.stdout.write(`  ${name}: ${geometricMean(goodput).toFixed(3)}\n`);
}

if (rounds > 0) tellRatios();

if (values.plot !== undefined) {
  await using contender = await ours.start();
  const points: [number, number][] = [];
  for (let together = 1; together <= clients; together *= 2) {
    const { latencies, took } = await closedLoop(contender, together);
    points.push([together, (1000 * latencies.length) / took]);
  }
  const lines = [{ name: "Omni-IML runner", points }];
  const title = `Images a second over concurrent clients (${values.size} pixels wide, ${availableParallelism()} cores)`;
  writeFileSync(
    values.plot,
    drawPlot({ title, xTitle: "clients", yTitle: "images a second", logarithmicX: true, lines }),
  );
}
