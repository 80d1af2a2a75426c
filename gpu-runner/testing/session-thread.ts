/** A session's thread for tests of what holds it: it is ready, and ends with the first tile. */
import { parentPort } from "node:worker_threads";
import type { SessionThreadReport } from "../inference/session-thread.ts";

parentPort?.on("message", () => process.exit(7));
parentPort?.postMessage({ type: "ready" } satisfies SessionThreadReport);
