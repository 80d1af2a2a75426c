/**
 * Edge tests run inside the Workers runtime; runner and outside world are real HTTP servers (see testing/).
 * `--mode faults`: what `npm run test:faults` disturbs here, in place of the tests.
 */
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

export default defineConfig(({ mode }) => ({
  root: import.meta.dirname,
  plugins: [
    cloudflareTest(async ({ inject }) => ({
      main: "./index.ts",
      wrangler: { configPath: "../wrangler.toml" },
      miniflare: {
        bindings: {
          RUNNER_URLS: inject("runnerUrl"),
          RUNNER_SECRET: "test-secret",
          IMAGE_URL_TIMEOUT_S: "3",
          EGRESS_PROXY_URL: inject("egressUrl"),
          EGRESS_PROXY_SECRET: "test-egress-secret",
          S3_ENDPOINT: "http://storage.test",
          S3_ACCESS_KEY_ID: "test",
          S3_SECRET_ACCESS_KEY: "test",
          // Short, but longer than a step takes on a busy machine.
          LEASE_MS: mode === "faults" ? "15000" : "3000",
          BACKOFF_MS: "50",
          MAX_ATTEMPTS: mode === "faults" ? "5" : "3",
          WEBHOOK_RETRY_S: "0.05,0.1",
          WEBHOOK_TIMEOUT_S: "3",
          IN_BAND_MAX_BYTES: "1048576",
          IN_BAND_BUDGET_BYTES: "4194304",
          MIGRATIONS: await readD1Migrations("edge/migrations"),
        },
      },
    })),
  ],
  test: {
    include: [mode === "faults" ? "faults/*.faults.ts" : "**/*.test.ts"],
    globalSetup: [
      "./playground/build.ts",
      "./testing/fake-runner.ts",
      "./testing/several-runners.ts",
      "./testing/outside.ts",
    ],
    setupFiles: ["./testing/database.ts"],
    testTimeout: mode === "faults" ? 600_000 : 45_000,
    hookTimeout: 60_000,
    // The worker logs every request; what a passing test logged is of no interest.
    silent: mode === "faults" ? false : "passed-only",
    ...(mode === "faults" ? { onConsoleLog: (text: string) => text.startsWith("fault-row ") } : {}),
    // One worker for all files: starting one costs more than most files do. Every test has an account of its own.
    isolate: false,
    fileParallelism: false,
  },
}));
