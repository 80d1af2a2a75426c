/** Reports of a real analysis, by way of the runner: what stands in them, what they refuse, and that they can be made again. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { pino } from "pino";
import { expect, it } from "vitest";
import { readConfiguration } from "../configuration.ts";
import { startRunner } from "../runner.ts";
import { Caller, secret } from "../testing/caller.ts";
import { LocalStorage } from "../testing/storage.ts";
import { english } from "../wording/en.ts";
import { contentOf } from "./content.ts";
import { htmlReport } from "./html.ts";
import { reportRecord } from "./record.ts";

it("are stored beside the JSON report, can be made again from it to the byte, and escape what the image says", async () => {
  const storage = await LocalStorage.start();
  const configuration = readConfiguration({ PORT: "0", RUNNER_SECRET: secret, LOG_LEVEL: "silent", THREADS: "2" });
  const runner = await startRunner(configuration, pino({ level: "silent" }));
  const folder = await mkdtemp(join(tmpdir(), "omni-iml-report-"));
  try {
    const photo = await readFile(new URL("../../test/samples/balloon-forged.jpg", import.meta.url));
    const outputs = ["overlay", "report", "report_html", "report_pdf"] as const;
    const caller = new Caller(runner.port, runner.release, storage);
    const options = { interpretation: "vlm", threshold: 0.3 };
    const { job, result } = await caller.analyse(photo, { outputs, options });
    expect(Object.keys(result?.files ?? {}).sort()).toEqual([...outputs]);
    expect(result?.finding.degraded_checks).toContainEqual({
      check: "vlm",
      reason: expect.stringContaining("No vision-language model is configured"),
      retryable: true,
    });
    const stored = (name: string) => storage.objects.get(`/${job}/${name}`) ?? Buffer.alloc(0);
    const html = stored("report_html").toString();
    expect(html).toContain("default-src &#39;none&#39;");
    expect(html).toContain(result?.finding.image.sha256);
    expect(html).not.toMatch(/<script|https?:/);
    const pdf = stored("report_pdf").toString("latin1");
    expect(pdf).toMatch(/^%PDF-/);
    expect(pdf).not.toMatch(/\/(JavaScript|JS|URI|Launch|OpenAction|EmbeddedFile)\b/);

    await Promise.all([
      writeFile(join(folder, "report.json"), stored("report")),
      writeFile(join(folder, "overlay.png"), stored("overlay")),
      writeFile(join(folder, "photo.jpg"), photo),
    ]);
    const paths = ["report", "image", "overlay"].flatMap((name, i) => [
      `--${name}`,
      join(folder, ["report.json", "photo.jpg", "overlay.png"][i] ?? ""),
    ]);
    const render = join(import.meta.dirname, "render.ts");
    const env = { ...process.env, TZ: "Asia/Kathmandu" };
    await promisify(execFile)(process.execPath, [render, ...paths, "--out", folder], { env });
    expect(stored("report_html").equals(await readFile(join(folder, "report.html")))).toBe(true);
    expect(stored("report_pdf").equals(await readFile(join(folder, "report.pdf")))).toBe(true);

    const record = reportRecord.parse(JSON.parse(stored("report").toString()));
    const { release } = record;
    const before = { ...release, pipeline: { ...release.pipeline, tile_step: undefined } };
    expect(reportRecord.safeParse({ ...record, release: before }).success, "a record from before tiles had steps").toBe(
      true,
    );
    const hostile = { ...record, explanation: '<script>alert(1)</script>"' };
    const none = { image: new Uint8Array(0), overlay: new Uint8Array(0), crops: [] };
    expect(await htmlReport(contentOf(hostile, english), none)).toContain("&lt;script&gt;alert(1)&lt;/script&gt;");
  } finally {
    await runner.drain();
    await storage[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  }
}, 180_000);
