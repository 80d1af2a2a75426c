/**
 * The edge by itself, for a container: runners and egress proxy run elsewhere, the environment names them. State, the
 * first operator's key among it, lies in one folder.
 */
import { writeFileSync } from "node:fs";
import { z } from "zod";
import { LocalStack } from "./stack.ts";
import { StartupError } from "./startup-error.ts";
import { StateFolder } from "./state-folder.ts";

const configuration = z.object({
  PORT: z.coerce.number().int().min(1).max(65_535).default(8787),
  HOST: z.string().default("0.0.0.0"),
  /** As clients and runners reach this service: file addresses are signed for it. */
  PUBLIC_URL: z.url().default("http://localhost:8787"),
  OMNI_IML_STATE: z.string().default("/state"),
  RUNNER_URLS: z.string("is needed: the runners' addresses, separated by commas"),
  RUNNER_SECRET: z.string("is needed: what the runners verify by").min(16),
  EGRESS_PROXY_URL: z.url(),
  EGRESS_PROXY_SECRET: z.string("is needed: what the egress proxy verifies by").min(16),
  /** Where Prometheus reads the key for /metrics. */
  METRICS_KEY_FILE: z.string().optional(),
});

async function main(): Promise<void> {
  const parsed = configuration.safeParse(process.env);
  if (!parsed.success) {
    throw new StartupError(parsed.error.issues.map(({ path, message }) => `${path.join(".")} ${message}`).join("; "));
  }
  const settings = parsed.data;
  const stack = new LocalStack({
    port: settings.PORT,
    host: settings.HOST,
    state: new StateFolder(settings.OMNI_IML_STATE),
    report: (line) => console.error(`! ${line}`),
    runners: settings.RUNNER_URLS.split(",").map((url) => url.trim()),
    runnerSecret: settings.RUNNER_SECRET,
    egress: { url: settings.EGRESS_PROXY_URL, secret: settings.EGRESS_PROXY_SECRET },
    storageEndpoint: `${settings.PUBLIC_URL.replace(/\/+$/, "")}/cdn-cgi/local/r2/s3`,
  });
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => void stack.stop().finally(() => process.exit(0)));
  }
  try {
    const { apiKey } = await stack.start();
    // Read by the user of another container.
    if (settings.METRICS_KEY_FILE !== undefined) writeFileSync(settings.METRICS_KEY_FILE, apiKey, { mode: 0o644 });
    console.log(`ready: ${settings.PUBLIC_URL}  key: ${apiKey}`);
  } catch (error) {
    await stack.stop();
    throw error;
  }
}

try {
  await main();
} catch (error) {
  console.error(
    `omni-iml: ${error instanceof StartupError ? error.message : error instanceof Error ? error.stack : error}`,
  );
  process.exit(1);
}
