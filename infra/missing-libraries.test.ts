/** The check that stops an image's build where a native module lacks a library (missing-libraries.sh). */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { repository } from "./local/stack.ts";

const script = join(repository, "infra/missing-libraries.sh");
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "omni-iml-libraries-"));
  mkdirSync(join(folder, "bin"));
  mkdirSync(join(folder, "modules/deep"), { recursive: true });
  // Says of a library what is written in it.
  writeFileSync(join(folder, "bin/ldd"), '#!/bin/sh\ncat "$1"\n');
  chmodSync(join(folder, "bin/ldd"), 0o755);
});
afterAll(() => rmSync(folder, { recursive: true }));

function check(files: Readonly<Record<string, string>>) {
  rmSync(join(folder, "modules"), { recursive: true });
  mkdirSync(join(folder, "modules/deep"), { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, "modules", name), text);
  const env = { ...process.env, PATH: `${join(folder, "bin")}:${process.env["PATH"]}` };
  const { status, stderr } = spawnSync("sh", [script, join(folder, "modules")], { env, encoding: "utf8" });
  return { status, stderr };
}

it("passes where every library is found, but for the driver's and TensorRT's", () => {
  const found = "\tlibcudnn.so.9 => /usr/lib/libcudnn.so.9 (0x0)\n";
  const files = {
    "libonnxruntime_providers_cuda.so": `${found}\tlibcuda.so.1 => not found\n`,
    "libonnxruntime_providers_tensorrt.so": "\tlibnvinfer.so.10 => not found\n",
    "readme.txt": "\tlibnothing.so => not found\n",
  };
  expect(check(files)).toEqual({ status: 0, stderr: "" });
});

it.each(["module.node", "libprovider.so", "deep/libprovider.so.1"])("names what %s lacks, and fails", (name) => {
  const { status, stderr } = check({ [name]: "\tlibcublas.so.13 => not found\n\tlibm.so.6 => /lib/libm.so.6 (0x0)\n" });
  expect(status).toBe(1);
  expect(stderr.trim()).toBe(`${join(folder, "modules", name)}:\tlibcublas.so.13 => not found`);
});
