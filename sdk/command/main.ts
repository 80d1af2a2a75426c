#!/usr/bin/env node
/** The `omni-iml` command: which words lead where. Its environment names the service and the key. */
import { OmniImlError } from "../errors.ts";
import { Transport } from "../transport.ts";
import { admin, adminUsage } from "./admin.ts";
import { UsageError } from "./usage-error.ts";

const usage = `${adminUsage}

OMNI_IML_KEY   API key
OMNI_IML_URL   address of the service (http://127.0.0.1:8787)`;

async function main([command, ...rest]: string[]): Promise<void> {
  if (command === undefined || command === "help" || command === "--help") {
    console.log(usage);
    return;
  }
  if (command !== "admin") throw new UsageError(`there is no command ${command}`);
  const apiKey = process.env["OMNI_IML_KEY"];
  if (!apiKey) throw new UsageError("OMNI_IML_KEY is not set");
  const baseUrl = (process.env["OMNI_IML_URL"] ?? "http://127.0.0.1:8787").replace(/\/+$/, "");
  console.log(
    await admin(rest, new Transport({ apiKey, baseUrl, fetch: globalThis.fetch, maxRetries: 4, timeout: 60 })),
  );
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof UsageError) console.error(`omni-iml: ${error.message}\n\n${usage}`);
  else if (error instanceof OmniImlError) console.error(`omni-iml: ${error.message}`);
  else throw error;
  process.exitCode = 2;
}
