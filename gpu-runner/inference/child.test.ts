/** The inference process itself, with the released model. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { analysisOptions } from "@omni-iml/shared/analysis";
import { expect, it } from "vitest";
import { loadRelease } from "../release.ts";
import { type Command, report } from "./protocol.ts";

const { manifest, modelFile } = await loadRelease(fileURLToPath(new URL("../../model/release", import.meta.url)));
const bytes = readFileSync(new URL("../../test/samples/balloon-forged.jpg", import.meta.url));

it("ends with its channel while its sessions run, and not as if it had crashed", async () => {
  const child = fork(new URL("./child.ts", import.meta.url), {
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let said = "";
  child.stderr?.on("data", (chunk) => {
    said += chunk;
  });
  const send = (order: Command) => child.send(order);
  child.on("message", (message) => {
    const heard = report.parse(message);
    if (heard.type === "ready") {
      const options = analysisOptions.parse({});
      const pictures = { report: false, prompt: false };
      send({ type: "analyse", job: 1, bytes, sha256: "0".repeat(64), outputs: [], pictures, options });
    } else if (heard.type === "batch") {
      // The first of several tiles has run: the next ones do.
      setTimeout(() => child.connected && child.disconnect(), 20);
    }
  });
  send({
    type: "load",
    modelFile,
    interpretationFile: null,
    manifest,
    provider: "cpu",
    threads: 2,
    smallSessions: 2,
    imageThreads: 1,
    maxPixels: 1e8,
    largestBatch: 1,
    deviceMemory: null,
    trustAnchors: null,
  });
  const [code, signal] = await once(child, "exit");
  expect([code, signal, said]).toEqual([null, "SIGKILL", ""]);
});
