/** `omni-iml analyze`: images from files, folders, addresses and standard input. */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { OmniIml } from "../client.ts";
import { OmniImlError, ProblemError } from "../errors.ts";
import type { Analysis, Problem, ResultFile } from "../resources.ts";
import { numberOf, parseArguments } from "./arguments.ts";
import { ProgressBar } from "./progress-bar.ts";
import { table } from "./table.ts";
import { type Target, targets } from "./targets.ts";
import { UsageError } from "./usage-error.ts";

export const analyzeUsage = `omni-iml analyze FILE|DIR|URL|- …   - is standard input
  --json             one line of JSON an image: {"input", "analysis"} or {"input", "error"}
  --out DIR          store probability map, mask, overlay and reports there
  --threshold P      probability (0 to 1) from which a pixel counts as manipulated
  --concurrency N    images under way at a time (4)
  exit status        0 nothing found, 1 tampering found, 2 something could not be analysed`;

const options = {
  json: { type: "boolean", default: false },
  out: { type: "string" },
  threshold: { type: "string" },
  concurrency: { type: "string" },
} as const;

const mostAtATime = 64;
const endings: Readonly<Record<string, string>> = {
  "application/json": "json",
  "application/pdf": "pdf",
  "image/png": "png",
  "text/html": "html",
};

/** Exit statuses. */
const [nothingFound, tamperingFound, notAnalysed] = [0, 1, 2];

interface Outcome {
  input: string;
  analysis?: Analysis;
  error?: { message: string; problem?: Problem };
}

/** Analyses everything and prints what came of it; answers the exit status. Throws {@link UsageError}. */
export async function analyze(args: string[], client: OmniIml, signal: AbortSignal): Promise<number> {
  const { values, positionals } = parseArguments(args, options);
  if (positionals.length === 0) throw new UsageError("analyze takes files, folders, addresses or -");
  const threshold = values.threshold === undefined ? undefined : numberOf("threshold", values.threshold, 0, 0, 1);
  const concurrency = Math.floor(numberOf("concurrency", values.concurrency, 4, 1, mostAtATime));
  const all = await targets(positionals, process.stdin);
  const bar = new ProgressBar(all.length);
  const outcomes: Outcome[] = [];
  const waiting = all.entries();
  const worker = async () => {
    // One iterator for all workers: each takes what nobody else has taken yet.
    for (const [index, target] of waiting) {
      const outcome = await outcomeOf(target, async () => {
        const analysis = await analysed(client, target, threshold, bar, signal);
        if (values.out !== undefined) await store(analysis, join(values.out, target.output), signal);
        return analysis;
      });
      signal.throwIfAborted();
      outcomes[index] = outcome;
      bar.clear();
      if (values.json) console.log(JSON.stringify(outcome));
      bar.step(target.input);
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(concurrency, all.length) }, worker));
  } finally {
    bar.clear();
  }
  if (!values.json) console.log(tableOf(outcomes));
  if (outcomes.some(({ analysis, error }) => error || analysis?.status !== "succeeded")) return notAnalysed;
  return outcomes.some(({ analysis }) => analysis?.verdict === "tampered") ? tamperingFound : nothingFound;
}

/** The analysis, or the error of this one image: the others go on. */
async function outcomeOf({ input }: Target, work: () => Promise<Analysis>): Promise<Outcome> {
  try {
    return { input, analysis: await work() };
  } catch (error) {
    const isExpected = error instanceof OmniImlError || (error instanceof Error && "code" in error);
    if (!isExpected) throw error;
    return {
      input,
      error: { message: error.message, ...(error instanceof ProblemError && { problem: error.problem }) },
    };
  }
}

/** The analysis once it has ended. One that is under way when the signal comes is canceled. */
async function analysed(
  client: OmniIml,
  target: Target,
  threshold: number | undefined,
  bar: ProgressBar,
  signal: AbortSignal,
): Promise<Analysis> {
  bar.show(`sending  ${target.input}`);
  const created = await client.analyses.create(
    { ...(await target.image()), options: { threshold }, wait: 0 },
    { signal },
  );
  if (created.ended_at !== null) return created;
  try {
    for await (const { event, data } of client.analyses.stream(created.id, { signal })) {
      if (event === "end") return data;
      if (event === "stage") {
        const share = data.progress === null ? "" : ` ${Math.round(100 * data.progress)} %`;
        bar.show(`${data.stage}${share}  ${target.input}`);
      }
    }
    return await client.analyses.retrieve(created.id, { signal });
  } catch (error) {
    // Whoever breaks off wants no result; that it cannot be told to the service changes nothing about it.
    if (signal.aborted) await client.analyses.cancel(created.id, { maxRetries: 0, timeout: 5 }).catch(() => undefined);
    throw error;
  }
}

/** Writes each file of the result to `path` with its name and ending behind. */
async function store({ files }: Analysis, path: string, signal: AbortSignal): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await Promise.all(
    Object.entries(files).map(async ([name, file]) => {
      await writeFile(`${path}.${fileNameOf(name, file)}`, await download(name, file, signal));
    }),
  );
}

/** `probability.png`, `report.json`, but `report.html` for `report_html`: the ending says it already. */
function fileNameOf(name: string, { content_type }: ResultFile): string {
  const ending = endings[content_type.split(";")[0] ?? ""] ?? "bin";
  return `${name.endsWith(`_${ending}`) ? name.slice(0, -ending.length - 1) : name}.${ending}`;
}

async function download(name: string, file: ResultFile, signal: AbortSignal): Promise<Uint8Array> {
  try {
    const response = await fetch(file.url, { signal });
    const content = new Uint8Array(await response.arrayBuffer());
    if (response.ok && content.length === file.bytes) return content;
    throw new Error(`its address answered ${response.status} with ${content.length} bytes`);
  } catch (cause) {
    throw new OmniImlError(`the ${name} could not be stored: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    });
  }
}

function tableOf(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map(({ input, analysis, error }) => {
    if (analysis?.status !== "succeeded") {
      return [input, "not analysed", null, null, error?.message ?? analysis?.error?.detail ?? analysis?.status ?? ""];
    }
    const regions = (analysis.regions ?? []).map(({ bbox }) => `${bbox.width}×${bbox.height}+${bbox.x}+${bbox.y}`);
    const verdict = analysis.verdict?.replaceAll("_", " ") ?? null;
    return [
      input,
      verdict,
      analysis.score?.toFixed(2) ?? null,
      analysis.domain?.name ?? null,
      regions.join(" ") || null,
    ];
  });
  return table(["image", "verdict", "score", "domain", "regions"], rows);
}
