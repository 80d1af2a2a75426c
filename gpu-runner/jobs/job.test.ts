/** What becomes of a job whose reports cannot all be made. Their pictures are no pictures: HTML carries them along, PDF refuses. */
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { newId } from "@omni-iml/shared/ids";
import { inferRequest } from "@omni-iml/shared/inference";
import sharp from "sharp";
import { expect, it } from "vitest";
import { loadRelease } from "../release.ts";
import { ReportMaker } from "../report/report-maker.ts";
import { Telemetry } from "../telemetry/metrics.ts";
import { pixelFinding } from "../testing/finding.ts";
import { LocalStorage } from "../testing/storage.ts";
import { Admission } from "./admission.ts";
import { runJob } from "./job.ts";

it("a report that cannot be laid out is missing with its reason, and the rest is delivered", async () => {
  await using storage = await LocalStorage.start();
  const { manifest } = await loadRelease(fileURLToPath(new URL("../../model/release", import.meta.url)));
  const photo = Buffer.from(
    await sharp({ create: { width: 64, height: 64, channels: 3, background: "#888" } })
      .png()
      .toBuffer(),
  );
  storage.objects.set("/input", photo);
  const outputs = ["report", "report_html", "report_pdf"] as const;
  const request = inferRequest.parse({
    job_id: newId("analysis"),
    attempt: 1,
    release: manifest.release,
    input_url: storage.url("/input"),
    sha256: createHash("sha256").update(photo).digest("hex"),
    bytes: photo.length,
    outputs: Object.fromEntries(outputs.map((name) => [name, storage.url(`/${name}`)])),
    options: {},
    deadline: Date.now() + 60_000,
  });
  const none = new Uint8Array(3);
  const reports = new ReportMaker();
  const room = {
    manifest,
    provider: "cpu" as const,
    inference: {
      refuseCondemned: () => undefined,
      pixelsBefore: () => 0,
      analyse: async () => ({
        type: "done" as const,
        job: 1,
        finding: pixelFinding,
        files: {},
        pictures: { report: { image: none, overlay: none, crops: [] }, prompt: null },
        queuedFor: 0,
      }),
    },
    languageModel: null,
    reports,
    admission: new Admission(1e6),
    maxPixels: 1e6,
    telemetry: new Telemetry(),
  };
  const watch = { signal: new AbortController().signal, onStage: () => undefined, onAdmitted: () => undefined };
  try {
    const { finding, files } = await runJob(request, room, watch);
    expect(Object.keys(files).sort()).toEqual(["report", "report_html"]);
    expect(storage.objects.get("/report_html")?.toString()).toContain("<h1>Image analysis report</h1>");
    expect(finding.verdict).toBe(pixelFinding.verdict);
    expect(finding.degraded_checks).toEqual([
      { check: "report_pdf", reason: expect.stringMatching(/^The report could not be laid out: /), retryable: true },
    ]);
  } finally {
    await reports.stop();
  }
}, 60_000);
