import { describe, expect, it } from "vitest";
import { meanInterval } from "./bootstrap.ts";

describe("meanInterval", () => {
  it("has no width where all values are the same", () => {
    expect(meanInterval([0.4, 0.4, 0.4])).toEqual({
      mean: expect.closeTo(0.4, 12),
      low: expect.closeTo(0.4, 12),
      high: expect.closeTo(0.4, 12),
    });
  });

  it("is as wide as theory has it: ±1.96 standard errors of a fair coin thrown 100 times", () => {
    const interval = meanInterval(Array.from({ length: 100 }, (_, i) => i % 2));
    expect(interval?.mean).toBe(0.5);
    // The means come in steps of .01, and 2,000 draws place a percentile to about .003.
    expect(Math.abs((interval?.low ?? 0) - (0.5 - 1.96 * 0.05))).toBeLessThan(0.012);
    expect(Math.abs((interval?.high ?? 0) - (0.5 + 1.96 * 0.05))).toBeLessThan(0.012);
  });

  it("is the same on every run", () => {
    const values = [0.1, 0.9, 0.3, 0.35, 0.7];
    expect(meanInterval(values)).toEqual(meanInterval(values));
  });

  it("has nothing to say about nothing", () => {
    expect(meanInterval([])).toBeNull();
  });
});
