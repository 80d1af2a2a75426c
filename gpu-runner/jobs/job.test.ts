/** What becomes of a job before and after its analysis, whatever that is. */
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { newId } from "@omni-iml/shared/ids";
import { inferRequest } from "@omni-iml/shared/inference";
import { Problem } from "@omni-iml/shared/problems";
import sharp from "sharp";
import { expect, it } from "vitest";
import { loadRelease } from "../release.ts";
import { ReportMaker } from "../report/report-maker.ts";
import { Telemetry } from "../telemetry/metrics.ts";
import { pixelFinding } from "../testing/finding.ts";
import { LocalStorage } from "../testing/storage.ts";
import { Admission } from "./admission.ts";
import { type JobRoom, runJob } from "./job.ts";

const { manifest } = await loadRelease(fileURLToPath(new URL("../../model/release", import.meta.url)));
const photo = await sharp({ create: { width: 64, height: 64, channels: 3, background: "#888" } })
  .png()
  .toBuffer();

function requestOf(storage: LocalStorage, outputs: readonly string[], deadline = Date.now() + 60_000) {
  return inferRequest.parse({
    job_id: newId("analysis"),
    attempt: 1,
    release: manifest.release,
    input_url: storage.url("/input"),
    sha256: createHash("sha256").update(photo).digest("hex"),
    bytes: photo.length,
    outputs: Object.fromEntries(outputs.map((name) => [name, storage.url(`/${name}`)])),
    options: {},
    deadline,
  });
}

/** Its pictures are no pictures: HTML carries them along, PDF refuses. */
function roomWith(reports: ReportMaker, changes: Partial<JobRoom["inference"]> = {}) {
  const none = new Uint8Array(3);
  return {
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
      ...changes,
    },
    languageModel: null,
    reports,
    admission: new Admission(1e6),
    maxPixels: 1e6,
    telemetry: new Telemetry(),
  };
}

const watch = { signal: new AbortController().signal, onStage: () => undefined, onAdmitted: () => undefined };

it("a report that cannot be laid out is missing with its reason, and the rest is delivered", async () => {
  await using storage = await LocalStorage.start();
  storage.objects.set("/input", photo);
  const reports = new ReportMaker();
  try {
    const request = requestOf(storage, ["report", "report_html", "report_pdf"]);
    const { finding, files } = await runJob(request, roomWith(reports), watch);
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

it("what would not be done before its deadline is refused at once, with the time until it could be", async () => {
  await using storage = await LocalStorage.start();
  storage.objects.set("/input", photo);
  const analyse = () => Promise.reject(new Error("it was analysed"));
  // A megapixel a second before anything was measured. Somebody comes before it while it is fetched.
  const pixelsBefore = ({ pixels }: { pixels: number }) => (pixels === 0 ? 0 : 40e6);
  const room = roomWith(new ReportMaker(), { pixelsBefore, analyse });
  const late = runJob(requestOf(storage, [], Date.now() + 21_000), room, watch);
  await expect(late).rejects.toMatchObject({ code: "runner_busy", retryAfter: 24 });
  expect(room.admission.pixels).toBe(0);
  await expect(runJob(requestOf(storage, []), room, watch)).rejects.toThrow("it was analysed");
});

it("a full runner fetches nothing, nor does one that knows the file to be poison or has too much before it", async () => {
  // The input is not there: whoever asks for it gets another problem.
  await using storage = await LocalStorage.start();
  const full = roomWith(new ReportMaker());
  full.admission.take(1e6);
  await expect(runJob(requestOf(storage, []), full, watch)).rejects.toMatchObject({ code: "runner_busy" });
  const poison = new Problem("image_crashes_analysis", "It was tried twice.");
  const refuseCondemned = () => {
    throw poison;
  };
  const knowing = roomWith(new ReportMaker(), { refuseCondemned });
  await expect(runJob(requestOf(storage, []), knowing, watch)).rejects.toBe(poison);
  const behind = roomWith(new ReportMaker(), { pixelsBefore: () => 40e6 });
  const late = runJob(requestOf(storage, [], Date.now() + 21_000), behind, watch);
  await expect(late).rejects.toMatchObject({ code: "runner_busy", retryAfter: 24 });
});
