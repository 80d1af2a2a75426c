#!/usr/bin/env node
/** The `omni-iml` command: which words lead where. Its environment names the service and the key. */
import { OmniIml } from "../client.ts";
import { OmniImlError } from "../errors.ts";
import { Transport } from "../transport.ts";
import { admin, adminUsage } from "./admin.ts";
import { analyze, analyzeUsage } from "./analyze.ts";
import { listen, listenUsage } from "./listen.ts";
import { UsageError } from "./usage-error.ts";

const usage = `${analyzeUsage}

${listenUsage}

${adminUsage}

OMNI_IML_KEY   API key
OMNI_IML_URL   address of the service (http://127.0.0.1:8787)`;

/** Exit statuses: what could not be done, and what the shell says of a process that Ctrl-C ended. */
const [failed, interrupted] = [2, 130];

async function main([command, ...rest]: string[], signal: AbortSignal): Promise<number> {
  if (command === undefined || command === "help" || command === "--help" || rest.includes("--help")) {
    console.log(usage);
    return 0;
  }
  if (command !== "admin" && command !== "analyze" && command !== "webhooks") {
    throw new UsageError(`there is no command ${command}`);
  }
  const apiKey = process.env["OMNI_IML_KEY"];
  if (!apiKey) throw new UsageError("OMNI_IML_KEY is not set");
  const baseUrl = (process.env["OMNI_IML_URL"] || "http://127.0.0.1:8787").replace(/\/+$/, "");
  if (command === "admin") {
    console.log(
      await admin(rest, new Transport({ apiKey, baseUrl, fetch: globalThis.fetch, maxRetries: 4, timeout: 60 })),
    );
    return 0;
  }
  const client = new OmniIml({ apiKey, baseUrl });
  if (command === "analyze") return analyze(rest, client, signal);
  const [action, ...options] = rest;
  if (action !== "listen") throw new UsageError("webhooks takes listen");
  return listen(options, client, signal);
}

const interruption = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) {
  // The first one asks to end in good order, the next one is Node's own.
  process.once(name, () => interruption.abort(new OmniImlError("interrupted")));
}

try {
  process.exitCode = await main(process.argv.slice(2), interruption.signal);
} catch (error) {
  if (error instanceof UsageError) console.error(`omni-iml: ${error.message} (omni-iml --help)`);
  else if (error instanceof OmniImlError) console.error(`omni-iml: ${error.message}`);
  else throw error;
  process.exitCode = interruption.signal.aborted ? interrupted : failed;
}
