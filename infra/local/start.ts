/** `npm start`: the whole system on this machine, shown to work on one image, then served until Ctrl-C. */
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { demonstrate, readable } from "./demonstration.ts";
import { parsePort } from "./ports.ts";
import { step } from "./progress.ts";
import { LocalStack, repository } from "./stack.ts";
import { StartupError } from "./startup-error.ts";
import { StateFolder } from "./state-folder.ts";

const sample = join(repository, "test/samples/balloon-forged.jpg");

const usage = `npm start                  start, analyse a sample, serve until Ctrl-C
npm start -- --check       start, analyse a sample, stop; exit 0 if the answer is sane
npm start -- --runners N   with N GPU runners instead of one
PORT                       port of the API (8787)
OMNI_IML_STATE             folder of all state (.omni-iml in the repository)
EGRESS_ALLOW_LOOPBACK      1: image_url and webhooks may name this machine, for development`;

async function main(): Promise<number> {
  const { check, help, runners } = argumentsGiven();
  if (help) {
    console.log(usage);
    return 0;
  }
  const port = parsePort(process.env["PORT"], 8787);
  const state = new StateFolder(process.env["OMNI_IML_STATE"] || join(repository, ".omni-iml"));
  const stack = new LocalStack({
    port,
    state,
    runners,
    report: (line) => console.error(`! ${line}`),
  });
  const asked = stopRequest();
  try {
    const serving = start(stack);
    const outcome = await Promise.race([serving, asked]);
    if (typeof outcome === "string") return 130;
    if (outcome.complaints.length > 0) return 1;
    if (check) return 0;
    console.log(`runner: ${stack.runnerUrls.join(",")}  logs: ${state.logs}`);
    console.log(`playground: open ${stack.baseUrl} in a browser; reference: ${stack.baseUrl}/docs`);
    console.log(`ready: ${stack.baseUrl}  key: ${outcome.apiKey}`);
    await asked;
    return 0;
  } finally {
    await stack.stop();
  }
}

async function start(stack: LocalStack): Promise<{ apiKey: string; complaints: string[] }> {
  const { apiKey } = await stack.start();
  const { analysis, complaints } = await step("sample analysis", () => demonstrate(stack.baseUrl, apiKey, sample));
  console.log(`\n${readable(analysis, relative(repository, sample))}\n`);
  for (const complaint of complaints) console.error(`omni-iml: ${complaint}`);
  return { apiKey, complaints };
}

/** Beyond this they would only wait for each other. */
const mostRunners = 16;

function argumentsGiven(): { check: boolean; help: boolean; runners: number } {
  const { check, help, runners } = parsed();
  const count = Number(runners);
  if (!Number.isInteger(count) || count < 1 || count > mostRunners) {
    throw new StartupError(`--runners takes a number from 1 to ${mostRunners}, not ${JSON.stringify(runners)}`);
  }
  return { check, help, runners: count };
}

function parsed(): { check: boolean; help: boolean; runners: string } {
  try {
    const { values } = parseArgs({
      options: {
        check: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
        runners: { type: "string", default: "1" },
      },
    });
    return values;
  } catch (cause) {
    throw new StartupError(`${cause instanceof Error ? cause.message : cause} (npm start -- --help)`, { cause });
  }
}

/** Resolves with the first signal that asks this process to end; a later one ends it without ceremony. */
function stopRequest(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let asked: number | undefined;
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(name, () => {
        asked ??= Date.now();
        // One Ctrl-C arrives twice: from the terminal, and handed on by npm.
        if (Date.now() - asked > 1_000) process.exit(130);
        resolve(name);
      });
    }
  });
}

try {
  process.exit(await main());
} catch (error) {
  console.error(
    `omni-iml: ${error instanceof StartupError ? error.message : error instanceof Error ? error.stack : error}`,
  );
  process.exit(1);
}
