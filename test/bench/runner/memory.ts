/**
 * The inference process's memory over the size of an image, 0.1 to 100 megapixels.
 *
 *   npm run bench:memory [-- --plot FILE] [--real-up-to 4]
 *
 * Each image meets a runner that has just started, and the figure is the largest resident memory that the inference
 * process has had. The warm-up has run the largest tile, so what the network takes does not grow with the image: up to
 * `--real-up-to` megapixels the released model runs, and at every size also a stand-in that answers at once
 * (stand-in/make.py), which shows everything else in a fraction of the time.
 */
import { createHash } from "node:crypto";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import sharp from "sharp";
import { z } from "zod";
import { Caller, secret } from "../../../gpu-runner/testing/caller.ts";
import { LocalStorage } from "../../../gpu-runner/testing/storage.ts";
import { releaseManifest } from "../../../shared/release.ts";
import { drawPlot } from "../plot.ts";
import { benchJob, benchOptions } from "./job.ts";
import { Program } from "./processes.ts";

const repository = fileURLToPath(new URL("../../../", import.meta.url));
const release = `${repository}model/release`;
const { values } = parseArgs({ options: { plot: { type: "string" }, "real-up-to": { type: "string", default: "4" } } });
const sizes = [0.1, 1, 4, 12, 25, 50, 100];
const readyLine = z.object({ msg: z.literal("ready"), port: z.int(), release: z.string() });

/** A folder like the release's, with the stand-in for its model. */
function standInRelease(): string {
  const folder = mkdtempSync(join(tmpdir(), "stand-in-"));
  const file = "stand-in.onnx";
  const source = fileURLToPath(new URL(`stand-in/${file}`, import.meta.url));
  const bytes = readFileSync(source);
  copyFileSync(source, join(folder, file));
  const manifest = releaseManifest.parse(JSON.parse(readFileSync(`${release}/manifest.json`, "utf8")));
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  if (manifest.interpretation !== undefined) {
    const { file: interpretation } = manifest.interpretation.model;
    copyFileSync(`${release}/${interpretation}`, join(folder, interpretation));
  }
  writeFileSync(
    join(folder, "manifest.json"),
    JSON.stringify({
      ...manifest,
      release: "stand-in",
      model: { ...manifest.model, file, sha256, bytes: bytes.length },
    }),
  );
  return folder;
}

/** A photograph of so many megapixels, 3:2. */
function photograph(megapixels: number): Promise<Buffer> {
  const height = Math.round(Math.sqrt((megapixels * 1e6) / 1.5));
  return sharp(`${repository}test/samples/balloon-forged.jpg`)
    .resize(Math.floor((1.5 * height) / 8) * 8, height, { fit: "fill" })
    .jpeg({ quality: 88 })
    .toBuffer();
}

/** Bytes at the peak, and seconds that the job took. */
async function measure(modelFolder: string, image: Buffer, storage: LocalStorage) {
  await using runner = new Program(process.execPath, [`${repository}gpu-runner/main.ts`], {
    PORT: "0",
    RUNNER_SECRET: secret,
    MODEL_DIR: modelFolder,
  });
  const ready = await runner.lineWith((line) => readyLine.safeParse(JSON.parse(line)).data ?? null);
  const { outputs } = benchJob;
  const { result, problem } = await new Caller(ready.port, ready.release, storage).analyse(image, {
    outputs,
    options: benchOptions,
    deadline: Date.now() + 3_600_000,
  });
  if (result === null) throw new Error(`the runner refused an image: ${problem?.code} ${problem?.detail}`);
  storage.objects.clear();
  return { peak: runner.peakMemory, seconds: (result.finding.timings["total"] ?? 0) / 1000 };
}

const standIn = standInRelease();
const lines = [
  { name: "released model", folder: release, upTo: Number(values["real-up-to"]), points: [] as [number, number][] },
  { name: "without the network", folder: standIn, upTo: 100, points: [] as [number, number][] },
];
try {
  await using storage = await LocalStorage.start();
  for (const megapixels of sizes) {
    const image = await photograph(megapixels);
    for (const { name, folder, upTo, points } of lines) {
      if (megapixels > upTo) continue;
      const { peak, seconds } = await measure(folder, image, storage);
      points.push([megapixels, peak / 2 ** 20]);
      process.stdout.write(`${megapixels} MP, ${name}: ${(peak / 2 ** 20).toFixed(0)} MiB, ${seconds.toFixed(1)} s\n`);
    }
  }
} finally {
  rmSync(standIn, { recursive: true });
}
if (values.plot !== undefined) {
  const title = "Peak memory of the inference process over the size of an image";
  writeFileSync(values.plot, drawPlot({ title, xTitle: "megapixels", yTitle: "MiB", logarithmicX: false, lines }));
}
