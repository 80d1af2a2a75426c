/** Unit tests, which stand beside what they test. The edge's run in the Workers runtime, by edge/vitest.config.ts. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["shared", "gpu-runner", "sdk", "infra", "test/evaluate", "test/documentation"].map(
      (folder) => `${folder}/**/*.test.ts`,
    ),
    exclude: ["**/node_modules/**"],
    // Tests of the runner start real processes with a real model; two of them at once on a small machine is enough.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
