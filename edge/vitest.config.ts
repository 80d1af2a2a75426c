/** Edge tests run inside the Workers runtime; the runner they call is a real HTTP server (see testing/fake-runner.ts). */
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

export default defineConfig({
  root: import.meta.dirname,
  plugins: [
    cloudflareTest(async ({ inject }) => ({
      main: "./index.ts",
      wrangler: { configPath: "../wrangler.toml" },
      miniflare: {
        bindings: {
          RUNNER_URLS: inject("runnerUrl"),
          RUNNER_SECRET: "test-secret",
          S3_ENDPOINT: "http://storage.test",
          S3_ACCESS_KEY_ID: "test",
          S3_SECRET_ACCESS_KEY: "test",
          // Short, but longer than a step takes on a busy machine.
          LEASE_MS: "3000",
          BACKOFF_MS: "50",
          MAX_ATTEMPTS: "3",
          IN_BAND_MAX_BYTES: "1048576",
          IN_BAND_BUDGET_BYTES: "4194304",
          MIGRATIONS: await readD1Migrations("edge/migrations"),
        },
      },
    })),
  ],
  test: {
    include: ["**/*.test.ts"],
    globalSetup: ["./testing/fake-runner.ts"],
    setupFiles: ["./testing/database.ts"],
    testTimeout: 45_000,
    // The worker logs every request; what a passing test logged is of no interest.
    silent: "passed-only",
    // One worker for all files: starting one costs more than most files do. Every test has an account of its own.
    isolate: false,
    fileParallelism: false,
  },
});
