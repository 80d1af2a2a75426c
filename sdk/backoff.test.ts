import { describe, expect, it } from "vitest";
import { parseRetryAfter, retryDelay } from "./backoff.ts";

describe("retryDelay", () => {
  it("doubles from half a second to half a minute", () => {
    const delays = [1, 2, 3, 7, 20].map((attempt) => retryDelay(attempt, undefined, () => 0));
    expect(delays).toEqual([0.5, 1, 2, 30, 30]);
  });
  it("takes off up to a half by chance", () => {
    expect(retryDelay(2, undefined, () => 1)).toBe(0.5);
  });
  it("does what the service asks for", () => {
    expect(retryDelay(1, 12)).toBe(12);
  });
});

describe("parseRetryAfter", () => {
  const now = Date.parse("2026-11-23T12:00:00Z");
  it.each([
    ["7", 7],
    ["Mon, 23 Nov 2026 12:00:30 GMT", 30],
    ["Mon, 23 Nov 2026 11:00:00 GMT", 0],
    ["soon", undefined],
    [null, undefined],
  ])("%s", (header, seconds) => {
    expect(parseRetryAfter(header, now)).toBe(seconds);
  });
});
