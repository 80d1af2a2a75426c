/** `npm run evaluate`: every image of a set through the public API, and the figures of what came back. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Analysis, OmniIml } from "@omni-iml/sdk";
import sharp from "sharp";
import { freePort } from "../../infra/local/ports.ts";
import { LocalStack } from "../../infra/local/stack.ts";
import { StateFolder } from "../../infra/local/state-folder.ts";
import { type ConditionName, conditionNames, levels, type Sent, underCondition } from "./conditions.ts";
import { readImageSet, type SetImage } from "./image-set.ts";
import { type PeerFigures, readPeers } from "./peers.ts";
import { countLevels, type PixelMetrics, pixelMetrics } from "./pixel-metrics.ts";
import { type AnsweredImage, cells, imageLevel } from "./summary.ts";
import { figuresTable, imageLevelLine, peersTable } from "./table.ts";

const usage = `npm run evaluate -- --set DIR [--json FILE] [--peers FILE] [--condition NAME] [--concurrency 2]
                    [--base-url URL --key KEY] [--limit N]

  --set DIR          folder with index.csv, images and masks
  --json FILE        writes every figure, by image, set and domain
  --peers FILE       figures of other detectors on the same images
  --condition NAME   ${conditionNames.join(", ")}
  --base-url, --key  a running service (or OMNI_IML_URL, OMNI_IML_KEY); without them one is started and stopped
  --limit N          only the first N images`;

interface Service {
  client: OmniIml;
  stop: () => Promise<void>;
}

interface Unanswered {
  image: string;
  reason: string;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      set: { type: "string" },
      json: { type: "string" },
      peers: { type: "string" },
      condition: { type: "string", default: "as-is" },
      concurrency: { type: "string", default: "2" },
      "base-url": { type: "string", default: process.env["OMNI_IML_URL"] },
      key: { type: "string", default: process.env["OMNI_IML_KEY"] },
      limit: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help || values.set === undefined) {
    console.log(usage);
    return values.help ? 0 : 1;
  }
  const condition = conditionNames.find((name) => name === values.condition);
  if (condition === undefined) throw new Error(`--condition must be one of ${conditionNames.join(", ")}`);

  const images = (await readImageSet(values.set)).slice(0, positiveInteger("--limit", values.limit));
  const peers: PeerFigures = values.peers === undefined ? new Map() : await readPeers(values.peers);
  const service = await serviceFor(values["base-url"], values.key);
  const start = performance.now();
  const outcomes = await (async () => {
    try {
      const concurrency = positiveInteger("--concurrency", values.concurrency) ?? 1;
      return await withProgress(images, concurrency, (image) => measured(service.client, image, condition));
    } finally {
      await service.stop();
    }
  })();
  const wallSeconds = (performance.now() - start) / 1000;

  const answered = outcomes.filter((outcome) => "metrics" in outcome);
  const unanswered = outcomes.filter((outcome) => "reason" in outcome);
  const table = cells(answered, peers);
  const level = imageLevel(answered);
  const cost = costOf(answered, wallSeconds);
  console.log(`\nCondition ${condition}, ${answered.length} of ${images.length} images answered.\n`);
  console.log(figuresTable(table));
  if (peers.size > 0) console.log(`\n${peersTable(table)}`);
  console.log(`\n${imageLevelLine(level)}`);
  console.log(`${cost.secondsPerImage.toFixed(2)} s an image, ${cost.secondsPerMegapixel.toFixed(2)} s a megapixel.`);
  for (const { image, reason } of unanswered) console.error(`not answered: ${image}: ${reason}`);
  if (values.json !== undefined) {
    const rows = answered.map(({ image: { name, domain, set, kind, tampered }, ...figures }) => ({
      image: name,
      domain,
      set,
      kind,
      tampered,
      ...figures,
    }));
    const report = { condition, cells: table, imageLevel: level, cost, unanswered, images: rows };
    await writeFile(values.json, `${JSON.stringify(report, null, 1)}\n`);
  }
  return unanswered.length === 0 ? 0 : 1;
}

/** The service named by the caller, or one of our own on a free port with state that is thrown away. */
async function serviceFor(baseUrl: string | undefined, apiKey: string | undefined): Promise<Service> {
  if (baseUrl !== undefined) {
    if (apiKey === undefined) throw new Error("--base-url needs --key");
    return { client: new OmniIml({ apiKey, baseUrl, maxRetries: 10 }), stop: async () => undefined };
  }
  const folder = await mkdtemp(join(tmpdir(), "omni-iml-evaluate-"));
  const stack = new LocalStack({
    port: await freePort(),
    state: new StateFolder(folder),
    report: (line) => console.error(`! ${line}`),
  });
  const stop = async () => {
    await stack.stop();
    await rm(folder, { recursive: true, force: true });
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void stop().finally(() => process.exit(130)));
  }
  try {
    const { apiKey: own } = await stack.start();
    return { client: new OmniIml({ apiKey: own, baseUrl: stack.baseUrl, maxRetries: 10 }), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The figures of one image, or why there are none. */
async function measured(
  client: OmniIml,
  image: SetImage,
  condition: ConditionName,
): Promise<AnsweredImage | Unanswered> {
  try {
    const sent = await underCondition(image.path, condition);
    const start = performance.now();
    const analysis = await answer(client, image.name, sent);
    const seconds = (performance.now() - start) / 1000;
    if (analysis.status !== "succeeded" || analysis.score === null || analysis.verdict === null) {
      return { image: image.name, reason: `${analysis.status}: ${analysis.error?.detail ?? "no reason given"}` };
    }
    return {
      image,
      score: analysis.score,
      verdict: analysis.verdict,
      metrics: await metricsOf(analysis, image, sent),
      seconds,
      megapixels: (sent.width * sent.height) / 1e6,
    };
  } catch (error) {
    return { image: image.name, reason: error instanceof Error ? error.message : String(error) };
  }
}

async function answer(client: OmniIml, name: string, { bytes }: Sent): Promise<Analysis> {
  const analysis = await client.analyses.create({
    image: bytes,
    filename: name.replace(/^.*\//, ""),
    options: { outputs: ["probability"] },
    wait: 60,
  });
  return analysis.ended_at === null ? client.analyses.wait(analysis.id, { timeout: 900 }) : analysis;
}

/** `null` for an authentic image, whose map is only checked. */
async function metricsOf(analysis: Analysis, image: SetImage, sent: Sent): Promise<PixelMetrics | null> {
  const file = analysis.files.probability;
  if (!file) throw new Error("the answer has no probability map");
  const response = await fetch(file.url);
  if (!response.ok) throw new Error(`the address of the probability map answers ${response.status}`);
  const map = new Uint8Array(await response.arrayBuffer());
  const { width, height } = await sharp(map).metadata();
  if (width !== sent.width || height !== sent.height) {
    throw new Error(`the map has ${width} × ${height} pixels, the image ${sent.width} × ${sent.height}`);
  }
  if (image.maskPath === null) return null;
  const [probability, mask] = await Promise.all([levels(map, width, height), levels(image.maskPath, width, height)]);
  return pixelMetrics(countLevels(probability, mask));
}

/** `work` on every item, `concurrency` at a time, in order of the items; prints how far it is. */
async function withProgress<Item, Result>(
  items: readonly Item[],
  concurrency: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const queue = items.entries();
  let done = 0;
  const start = performance.now();
  const report = setInterval(() => {
    const perItem = (performance.now() - start) / 1000 / Math.max(1, done);
    console.error(`${done} of ${items.length}, about ${Math.round(perItem * (items.length - done))} s left`);
  }, 10_000);
  try {
    await Promise.all(
      Array.from({ length: concurrency }, async () => {
        for (const [i, item] of queue) {
          results[i] = await work(item);
          done++;
        }
      }),
    );
  } finally {
    clearInterval(report);
  }
  return results;
}

function costOf(answered: readonly AnsweredImage[], wallSeconds: number) {
  const megapixels = answered.reduce((sum, image) => sum + image.megapixels, 0);
  return {
    wallSeconds,
    secondsPerImage: wallSeconds / Math.max(1, answered.length),
    secondsPerMegapixel: wallSeconds / Math.max(1e-6, megapixels),
  };
}

function positiveInteger(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${name} must be a whole number above 0`);
  return value;
}

try {
  process.exit(await main());
} catch (error) {
  console.error(`evaluate: ${error instanceof Error ? error.message : error}`);
  process.exit(1);
}
