import { expect, it } from "vitest";
import { parseDeviceMemory, residentMemory } from "./memory.ts";

it("reads what nvidia-smi prints", () => {
  expect(parseDeviceMemory("1834, 81559\n12, 81559\n")).toEqual({ used: 1834 * 2 ** 20, total: 81_559 * 2 ** 20 });
  expect(parseDeviceMemory("[N/A], 81559\n")).toBeNull();
  expect(parseDeviceMemory("")).toBeNull();
});

it("tells a process's memory, and of one that has ended that it is unknown", async () => {
  expect(await residentMemory(process.pid)).toBeGreaterThan(10e6);
  expect(await residentMemory(undefined)).toBeNaN();
});
