/**
 * In the place of the inference process, for tests of what holds it: the file in the place of the model says what becomes
 * of a start, and a job's SHA-256 what becomes of the job: one that begins with `hangs` never ends, with `dies` the process ends, others go well.
 */
import { readFileSync } from "node:fs";
import { command, type Report } from "../inference/protocol.ts";
import { pixelFinding } from "./finding.ts";

function tell(report: Report): void {
  process.send?.(report);
}

process.on("message", (message) => {
  const order = command.parse(message);
  if (order.type === "load") {
    const fate = readFileSync(order.modelFile, "utf8");
    if (fate === "dies") process.exit(7);
    if (fate === "refuses") tell({ type: "unusable", reason: "the device computes something else" });
    else tell({ type: "ready" });
  } else if (order.type === "analyse") {
    const { job, sha256 } = order;
    if (sha256.startsWith("dies")) process.exit(7);
    if (sha256.startsWith("hangs")) return;
    tell({ type: "done", job, finding: pixelFinding, files: {}, pictures: { report: null, prompt: null } });
  }
});
process.on("disconnect", () => process.exit(0));
