/** One job from its signed request to its result: download, admission, analysis, upload. */
import { createHash } from "node:crypto";
import { type Finding, type OutputName, outputContentTypes } from "@omni-iml/shared/analysis";
import type { InferRequest, ResultLine, stages } from "@omni-iml/shared/inference";
import { messageOf } from "@omni-iml/shared/message-of";
import { Problem } from "@omni-iml/shared/problems";
import type { ReleaseManifest } from "@omni-iml/shared/release";
import { readHeader, refuseUnanalysable } from "../image/header.ts";
import type { InferenceProcess } from "../inference/process.ts";
import { type PixelOutput, pixelOutput } from "../inference/protocol.ts";
import { describeByLanguageModel, type LanguageModel } from "../interpretation/language-model.ts";
import type { ReportOrder } from "../report/make.ts";
import { encodeRecord, recordOf } from "../report/record.ts";
import type { ReportMaker } from "../report/report-maker.ts";
import { download } from "../storage/download.ts";
import { upload } from "../storage/upload.ts";
import type { Telemetry } from "../telemetry/metrics.ts";
import { english } from "../wording/en.ts";
import type { Admission } from "./admission.ts";

/** Outputs that are laid out from record and pictures. */
const reportFormats = [
  ["report_html", "html"],
  ["report_pdf", "pdf"],
] as const satisfies readonly (readonly [OutputName, ReportOrder["format"]])[];

export type Stage = (typeof stages)[number];

export interface JobRoom {
  readonly manifest: ReleaseManifest;
  readonly provider: Finding["model"]["provider"];
  readonly inference: Pick<InferenceProcess, "refuseCondemned" | "pixelsBefore" | "analyse">;
  /** Describes regions for whom asks for it; null where none is configured. */
  readonly languageModel: LanguageModel | null;
  readonly reports: Pick<ReportMaker, "make">;
  /** Of all jobs that are queued or being analysed. */
  readonly admission: Admission;
  readonly maxPixels: number;
  readonly telemetry: Telemetry;
}

export interface JobWatch {
  readonly signal: AbortSignal;
  onStage(stage: Stage, progress: number | null): void;
  /** The job's pixels fit: from here on it is being worked on. */
  onAdmitted(): void;
}

/** @throws Problem, or the signal's reason. */
export async function runJob(request: InferRequest, room: JobRoom, watch: JobWatch): Promise<ResultLine> {
  const { signal } = watch;
  const start = performance.now();
  const stopwatch = () => {
    const from = performance.now();
    return () => Math.round(performance.now() - from);
  };

  const { account = null } = request;
  /** Seconds by which an image of so many pixels would come too late; what will not be done in time only takes it from others. */
  const lateness = (pixels: number) => {
    const before = room.inference.pixelsBefore({ account, priority: request.options.priority, pixels });
    return before === 0 ? 0 : room.admission.tooLate(before + pixels, request.deadline - Date.now());
  };

  // What is refused whatever the file holds costs no download.
  room.inference.refuseCondemned(request.sha256);
  if (room.admission.full) throw busy(room.admission, 0);
  const lateAnyway = lateness(0);
  if (lateAnyway > 0) throw busy(room.admission, 0, { late: lateAnyway, account });
  watch.onStage("download", null);
  const downloaded = stopwatch();
  const bytes = await download(request.input_url, request, signal);
  const downloadTime = downloaded();

  const header = readHeader(bytes);
  refuseUnanalysable(header, room.maxPixels);
  const pixels = header.width * header.height;
  const late = lateness(pixels);
  if (late > 0) throw busy(room.admission, pixels, { late, account });
  const endAdmission = room.admission.take(pixels, account);
  if (endAdmission === null) throw busy(room.admission, pixels, { account });
  let analysed = false;
  try {
    watch.onAdmitted();
    watch.onStage("queued", null);
    const outputs = Object.keys(request.outputs).flatMap((name): PixelOutput[] => {
      const parsed = pixelOutput.safeParse(name);
      return parsed.success ? [parsed.data] : [];
    });
    const layouts = reportFormats.filter(([name]) => name in request.outputs);
    const byLanguageModel = request.options.interpretation === "vlm";
    const { finding, files, pictures, queuedFor } = await room.inference.analyse(
      {
        account,
        bytes,
        pixels,
        sha256: request.sha256,
        outputs,
        pictures: { report: layouts.length > 0, prompt: byLanguageModel },
        options: request.options,
      },
      { signal, onStage: watch.onStage },
    );
    analysed = true;
    let described = finding;
    if (byLanguageModel) {
      watch.onStage("interpretation", null);
      const asked = stopwatch();
      described = await describeByLanguageModel(finding, pictures.prompt, room.languageModel, signal);
      described.timings["language_model"] = asked();
    }

    watch.onStage("upload", null);
    const uploaded = stopwatch();
    const stored: ResultLine["files"] = {};
    const store = async (name: OutputName, content: Uint8Array) => {
      const url = request.outputs[name];
      if (url === undefined) return;
      const body = new Uint8Array(content);
      const contentType = outputContentTypes[name];
      await upload(url, body, contentType, signal);
      const sha256 = createHash("sha256").update(body).digest("hex");
      stored[name] = { bytes: body.byteLength, sha256, content_type: contentType };
    };
    await Promise.all(outputs.map((name) => (files[name] === undefined ? undefined : store(name, files[name]))));
    const { name, version, release, precision } = room.manifest;
    const whole: Finding = {
      ...described,
      model: { name, version, release, precision, provider: room.provider },
      timings: { download: downloadTime, queue: Math.round(queuedFor), ...described.timings },
    };
    const record = recordOf({
      analysis: request.job_id,
      attempt: request.attempt,
      finding: whole,
      options: request.options,
      manifest: room.manifest,
      languageModel: room.languageModel?.model ?? null,
      files: stored,
      now: new Date(),
    });
    await store("report", encodeRecord(record));
    /** The report, or why there is none. */
    const laidOutOr = async (format: "html" | "pdf"): Promise<Uint8Array | string> => {
      if (pictures.report === null) return english.shortcoming({ part: "layout", reason: "no_pictures" });
      try {
        return await room.reports.make({ record, pictures: pictures.report, format }, signal);
      } catch (error) {
        signal.throwIfAborted();
        const text = messageOf(error);
        return english.shortcoming({ part: "layout", reason: "failed", error: text });
      }
    };
    if (layouts.length > 0) {
      watch.onStage("report", null);
      const laidOut = stopwatch();
      const reports = await Promise.all(
        layouts.map(async ([name, format]) => ({ name, made: await laidOutOr(format) })),
      );
      whole.timings["report"] = laidOut();
      for (const { name, made } of reports) {
        // The finding does not depend on it: it is delivered without the report.
        if (made instanceof Uint8Array) await store(name, made);
        else whole.degraded_checks = [...whole.degraded_checks, { check: name, reason: made, retryable: true }];
      }
    }
    whole.timings["upload"] = uploaded();
    whole.timings["total"] = Math.round(performance.now() - start);
    room.telemetry.finished(whole.timings, pixels);
    return { type: "result", finding: whole, files: stored };
  } finally {
    endAdmission(analysed);
  }
}

function busy(admission: Admission, pixels: number, more: Parameters<Admission["retryAfter"]>[1] = {}): Problem {
  return new Problem("runner_busy", "The runner has more pixels in hand than it could add this image to.", {
    retryAfter: admission.retryAfter(pixels, more),
  });
}
