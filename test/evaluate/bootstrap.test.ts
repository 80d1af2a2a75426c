import { describe, expect, it } from "vitest";
import { groupsInterval, meanInterval, pairsInterval } from "./bootstrap.ts";

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

describe("groupsInterval", () => {
  const share = (first: readonly number[], second: readonly number[]) =>
    first.filter((value) => value > Math.max(...second)).length / first.length;

  it("draws each group by itself", () => {
    const wide = groupsInterval([1, 0, 1, 0, 1, 0, 1, 0], [0.5], share);
    expect(wide?.mean).toBe(0.5);
    expect(wide?.low).toBeLessThan(0.3);
    expect(wide?.high).toBeGreaterThan(0.7);
    expect(groupsInterval([1, 1, 1], [0.5, 0.4], share)).toEqual({ mean: 1, low: 1, high: 1 });
  });

  it("has nothing to say where a group is empty", () => {
    expect(groupsInterval([], [0.5], share)).toBeNull();
    expect(groupsInterval([0.5], [], share)).toBeNull();
  });
});

describe("pairsInterval", () => {
  it("keeps pairs together: what is above its partner in every pair stays so in every draw", () => {
    const pairs = [
      [0.2, 0.1],
      [0.9, 0.8],
      [0.5, 0.4],
    ] as const;
    const won = (drawn: typeof pairs | readonly (readonly [number, number])[]) =>
      drawn.filter(([first, second]) => first > second).length / drawn.length;
    expect(pairsInterval<readonly [number, number]>(pairs, won)).toEqual({ mean: 1, low: 1, high: 1 });
    expect(pairsInterval<readonly [number, number]>([], won)).toBeNull();
  });
});
