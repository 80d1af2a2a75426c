import { describe, expect, it } from "vitest";
import { Admission } from "./admission.ts";

describe("admission", () => {
  it("takes what fits, and alone even what is larger than the limit", () => {
    const admission = new Admission(10e6);
    const large = admission.take(50e6);
    expect(large).not.toBeNull();
    expect(admission.take(1)).toBeNull();
    large?.(true);
    expect(admission.take(6e6)).not.toBeNull();
    expect(admission.take(5e6)).toBeNull();
    expect(admission.take(4e6)).not.toBeNull();
    expect([admission.full, admission.pixels]).toEqual([true, 10e6]);
  });

  it("leaves a quarter free for others, however much one account sends", () => {
    const admission = new Admission(10e6);
    const ends = Array.from({ length: 7 }, () => admission.take(1e6, "burst"));
    expect(ends).not.toContain(null);
    expect(admission.take(1e6, "burst")).toBeNull();
    // At a megapixel a second before anything was measured.
    expect(admission.retryAfter(5e6, { account: "burst" })).toBe(5);
    expect(admission.retryAfter(5e6, { account: "steady" })).toBe(2);
    expect(admission.take(2.5e6, "steady")).not.toBeNull();
    ends[0]?.(true);
    expect(admission.take(1e6, "burst")).not.toBeNull();
    // Alone, even what is larger than its share.
    expect(new Admission(10e6).take(9e6, "burst")).not.toBeNull();
  });

  it("says by measured speed when an image would fit", () => {
    let now = 0;
    const admission = new Admission(10e6, () => now);
    // Half a megapixel a second, two images at a time; an hour's pause in between does not count.
    for (let i = 0; i < 100; i++) {
      const [one, other] = [admission.take(2e6), admission.take(2e6)];
      now += 8000;
      one?.(true);
      other?.(true);
      now += 3_600_000;
    }
    expect(admission.rate).toBeCloseTo(0.5e6, -3);
    admission.take(10e6);
    expect(admission.retryAfter(4e6)).toBe(8);
    expect(admission.retryAfter(0)).toBe(1);
    // Twenty seconds of work: in time within half a minute, and ten seconds late where twelve and a half are left.
    expect(admission.tooLate(10e6, 30_000)).toBe(0);
    expect(admission.tooLate(10e6, 12_500)).toBeCloseTo(10, 1);
    expect(admission.retryAfter(0, { late: 9.5 })).toBe(10);
  });

  it("learns that work takes longer, and counts the time of what failed", () => {
    let now = 0;
    const admission = new Admission(10e6, () => now);
    for (let i = 0; i < 20; i++) {
      const end = admission.take(1e6);
      now += 10_000;
      end?.(i % 2 === 0);
    }
    expect(admission.rate).toBeGreaterThan(0.04e6);
    expect(admission.rate).toBeLessThan(0.12e6);
  });
});
