/** `npm run evaluate`: every image of a set through the public API, and the figures of what came back. */
import { mkdir, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import type { OmniIml } from "@omni-iml/sdk";
import { type ConditionName, conditionNames, conditionsNamed } from "./conditions.ts";
import { readImageSet, type SetImage } from "./image-set.ts";
import { mapped, measured, type Unanswered } from "./measure.ts";
import { type PeerFigures, readPeers } from "./peers.ts";
import { serviceFor } from "./service.ts";
import { contactSheet, worstFalseAlarms, worstMisses } from "./sheets.ts";
import { type AnsweredImage, againstAsIs, cells, gateShares, imageLevels } from "./summary.ts";
import { conditionsTable, figuresTable, gateTable, imageLevelTable, peersTable } from "./table.ts";

/** Images on a contact sheet. */
const worst = 20;

const usage = `npm run evaluate -- --set DIR [--set DIR …] [--condition NAME …] [--json FILE] [--peers FILE]
                    [--sheets DIR] [--concurrency 2] [--base-url URL --key KEY] [--limit N]

  --set DIR          folder with index.csv, images and masks; may be repeated
  --condition NAME   all, or ${conditionNames.join(", ")}; may be repeated
  --full             the same as --condition all
  --json FILE        writes every figure, by image, set, domain and condition
  --peers FILE       figures of other detectors on the same images
  --sheets DIR       writes contact sheets of the ${worst} worst misses and false alarms of each set
  --base-url, --key  a running service (or OMNI_IML_URL, OMNI_IML_KEY); without them one is started and stopped
  --limit N          only N images of each set, spread over all of it`;

/** A set under one condition. */
interface Part {
  condition: ConditionName;
  answered: AnsweredImage[];
  unanswered: Unanswered[];
  wallSeconds: number;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      set: { type: "string", multiple: true },
      json: { type: "string" },
      peers: { type: "string" },
      condition: { type: "string", multiple: true, default: ["as-is"] },
      full: { type: "boolean", default: false },
      sheets: { type: "string" },
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
  const conditions = conditionsNamed(values.full ? ["all"] : values.condition);
  const concurrency = positiveInteger("--concurrency", values.concurrency) ?? 1;
  const limit = positiveInteger("--limit", values.limit);
  const sets = await Promise.all(
    values.set.map(async (folder) => ({
      name: basename(resolve(folder)),
      images: spread(await readImageSet(folder), limit),
    })),
  );
  const peers: PeerFigures = values.peers === undefined ? new Map() : await readPeers(values.peers);
  const service = await serviceFor(values["base-url"], values.key);
  const reports: SetReport[] = [];
  try {
    for (const { name, images } of sets) {
      const parts: Part[] = [];
      for (const condition of conditions) {
        console.error(`${name}, ${condition}: ${images.length} images`);
        parts.push(await answered(service.client, images, condition, concurrency, values.sheets !== undefined));
      }
      const report = reportOf(name, parts, peers);
      console.log(asText(report, parts));
      reports.push(report);
      // After each set: a run of an hour that is cut off has lost no more than the set in hand.
      if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(reports, null, 1)}\n`);
      if (values.sheets !== undefined) await writeSheets(values.sheets, name, parts);
    }
  } finally {
    await service.stop();
  }
  return reports.every(({ conditions }) => conditions.every(({ unanswered }) => unanswered.length === 0)) ? 0 : 1;
}

async function answered(
  client: OmniIml,
  images: readonly SetImage[],
  condition: ConditionName,
  concurrency: number,
  keepMaps: boolean,
): Promise<Part> {
  const start = performance.now();
  const outcomes = await withProgress(images, concurrency, (image) => mapped(client, image, condition));
  const wallSeconds = (performance.now() - start) / 1000;
  // Only now: what comparing with the truth takes is no cost of the service.
  const answers: AnsweredImage[] = [];
  for (const outcome of outcomes) if ("probability" in outcome) answers.push(await measured(outcome, keepMaps));
  return { condition, answered: answers, unanswered: outcomes.filter((outcome) => "reason" in outcome), wallSeconds };
}

type SetReport = ReturnType<typeof reportOf>;

/** Every figure of a set; what `--json` writes. */
function reportOf(set: string, parts: readonly Part[], peers: PeerFigures) {
  const asIs = parts.find(({ condition }) => condition === "as-is")?.answered ?? [];
  return {
    set,
    conditions: parts.map((part) => ({
      condition: part.condition,
      // Other detectors were measured on the files as they are.
      cells: cells(part.answered, part.condition === "as-is" ? peers : new Map()),
      imageLevel: imageLevels(part.answered),
      gate: gateShares(part.answered),
      against: part.condition === "as-is" ? [] : againstAsIs(asIs, part.answered),
      cost: costOf(part),
      unanswered: part.unanswered,
      images: part.answered.map(({ image: { name, domain, set, kind, tampered }, map: _, ...figures }) => ({
        image: name,
        domain,
        set,
        kind,
        tampered,
        ...figures,
      })),
    })),
  };
}

function asText({ set, conditions }: SetReport, parts: readonly Part[]): string {
  const total = (part: Part) => part.answered.length + part.unanswered.length;
  const sections = conditions.flatMap((one, i) => {
    const part = parts[i];
    if (part === undefined) return [];
    return [
      `## ${set}, ${one.condition}: ${part.answered.length} of ${total(part)} images answered`,
      figuresTable(one.cells),
      ...(one.cells.some(({ peers }) => peers.length > 0) ? [peersTable(one.cells)] : []),
      ...(one.imageLevel.length > 0 ? [imageLevelTable(one.imageLevel)] : []),
      `${one.cost.secondsPerImage.toFixed(2)} s an image, ${one.cost.secondsPerMegapixel.toFixed(2)} s a megapixel.`,
      ...part.unanswered.map(({ image, reason }) => `not answered: ${image}: ${reason}`),
    ];
  });
  const compared = conditions.filter(({ against }) => against.length > 0);
  return [
    "",
    ...sections,
    ...(compared.length > 0 ? [`## ${set}: what each condition costs`, conditionsTable(compared)] : []),
    gateTable(conditions),
    "",
  ].join("\n\n");
}

/** Of the first condition: what went wrong there has the fewest excuses. */
async function writeSheets(folder: string, set: string, parts: readonly Part[]): Promise<void> {
  const [first] = parts;
  if (first === undefined) return;
  await mkdir(folder, { recursive: true });
  const sheets = {
    misses: worstMisses(first.answered, worst),
    "false-alarms": worstFalseAlarms(first.answered, worst),
  };
  for (const [name, images] of Object.entries(sheets)) {
    const sheet = await contactSheet(images);
    if (sheet === null) continue;
    const path = join(folder, `${set}-${first.condition}-${name}.png`);
    await writeFile(path, sheet);
    console.error(`wrote ${path}`);
  }
}

/** `limit` items at equal distances, so that a part of a set has all of its domains. */
function spread<Item>(items: readonly Item[], limit: number | undefined): readonly Item[] {
  if (limit === undefined || limit >= items.length) return items;
  const step = items.length / limit;
  return items.filter((_, i) => Math.floor(i / step) !== Math.floor((i - 1) / step));
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

function costOf({ answered, wallSeconds }: Part) {
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
