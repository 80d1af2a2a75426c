/** What `npm start` checks before it starts anything, each refusal one line. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { requireRelease } from "./model-release.ts";
import { freePort, parsePort, requirePort } from "./ports.ts";
import { repository } from "./stack.ts";
import { StartupError } from "./startup-error.ts";

describe("Node", () => {
  it("too old: one line and exit 1, before anything is read that an old Node cannot read", () => {
    const pretend = 'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.20.2" } })';
    const { status, stderr, stdout } = spawnSync(
      process.execPath,
      ["--import", `data:text/javascript,${pretend}`, join(repository, "infra/local/start.js")],
      { encoding: "utf8" },
    );
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(/^omni-iml: Node 24 or newer is needed, this is 20\.20\.2\..*\n$/);
  });
});

describe("port", () => {
  it("is refused while something listens there", async () => {
    const port = await freePort();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    await expect(requirePort(port)).rejects.toThrow(`port ${port} is in use`);
    await new Promise((resolve) => server.close(resolve));
    await expect(requirePort(port)).resolves.toBeUndefined();
  });

  it.each(["0", "65536", "http", "1.5"])("cannot be %s", (text) => {
    expect(() => parsePort(text, 8787)).toThrow(StartupError);
  });

  it("has a default", () => {
    expect([parsePort(undefined, 8787), parsePort("", 8787), parsePort("9000", 8787)]).toEqual([8787, 8787, 9000]);
  });
});

describe("model release", () => {
  const manifest = readFileSync(join(repository, "model/release/manifest.json"), "utf8");
  const folder = () => mkdtempSync(join(tmpdir(), "release-"));

  it("must be there", async () => {
    await expect(requireRelease(folder())).rejects.toThrow(/manifest\.json is missing/);
  });

  it("must have its model file, whole", async () => {
    const path = folder();
    writeFileSync(join(path, "manifest.json"), manifest);
    await expect(requireRelease(path)).rejects.toThrow(/the model file .*\.onnx is missing/);
    writeFileSync(join(path, JSON.parse(manifest).model.file), "version https://git-lfs");
    await expect(requireRelease(path)).rejects.toThrow(/has 23 bytes, its manifest says \d+/);
  });
});
