/** End to end: the stack of `npm start`, as a newcomer has it, seen from outside only. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/end-to-end/**/*.test.ts", "test/playground/**/*.test.ts"],
    // Each file has a stack of its own, and a stack takes the whole of a small machine.
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 240_000,
  },
});
