import { expect, it } from "vitest";
import { readPreference } from "./prefer.ts";

it.each([
  [undefined, { wait: null, async: false, applied: null }],
  ["wait=10", { wait: 10_000, async: false, applied: "wait=10" }],
  ["Wait = 10", { wait: 10_000, async: false, applied: "wait=10" }],
  ["wait=300", { wait: 60_000, async: false, applied: "wait=60" }],
  ["respond-async", { wait: 0, async: true, applied: "respond-async" }],
  ["respond-async, wait=5", { wait: 5_000, async: true, applied: "respond-async, wait=5" }],
  ['handling=lenient, wait="5"; x=y', { wait: 5_000, async: false, applied: "wait=5" }],
  ["wait=soon, return=minimal", { wait: null, async: false, applied: null }],
])("reads Prefer: %s", (header, preference) => {
  expect(readPreference(header)).toEqual(preference);
});
