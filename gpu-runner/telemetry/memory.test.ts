import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { deviceMemory, parseDeviceMemory, residentMemory } from "./memory.ts";

it("reads what nvidia-smi prints", () => {
  expect(parseDeviceMemory("1834, 81559\n12, 81559\n")).toEqual({ used: 1834 * 2 ** 20, total: 81_559 * 2 ** 20 });
  expect(parseDeviceMemory("[N/A], 81559\n")).toBeNull();
  expect(parseDeviceMemory("")).toBeNull();
});

it("tells a process's memory, and of one that has ended that it is unknown", async () => {
  expect(await residentMemory(process.pid)).toBeGreaterThan(10e6);
  expect(await residentMemory(undefined)).toBeNaN();
});

it("asks the driver's tool for the GPU's memory, and knows nothing where that fails or is not there", async () => {
  const folder = mkdtempSync(join(tmpdir(), "omni-iml-nvidia-"));
  vi.stubEnv("PATH", folder);
  try {
    expect(await deviceMemory()).toBeNull();
    const tool = (script: string) =>
      writeFileSync(join(folder, "nvidia-smi"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    tool(
      '[ "$*" = "--query-gpu=memory.used,memory.total --format=csv,noheader,nounits" ] && echo "1834, 81559" || exit 2',
    );
    expect(await deviceMemory()).toEqual({ used: 1834 * 2 ** 20, total: 81_559 * 2 ** 20 });
    tool("echo 'NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.'; exit 9");
    expect(await deviceMemory()).toBeNull();
  } finally {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true });
  }
});
