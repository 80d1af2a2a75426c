import { describe, expect, it } from "vitest";
import { type Choice, Pool, type PoolJob } from "./pool.ts";

const urls = ["http://a", "http://b", "http://c"];
const job = (id: string, bytes = 1e6, release = "r1"): PoolJob => ({ id, release, bytes });
const answered = (milliseconds: number) => ({ kind: "answered", milliseconds }) as const;
const chosen = (choice: Choice) => (choice.kind === "runner" ? choice.url : choice);

function spread(pool: Pool, jobs: number, now = 0): number[] {
  const urlsChosen = Array.from({ length: jobs }, (_, n) => chosen(pool.choose(job(`j${n}`), [], now)));
  return urls.map((url) => urlsChosen.filter((one) => one === url).length);
}

describe("load", () => {
  it("spreads evenly over runners of which nothing is known", () => {
    expect(spread(new Pool(urls), 30)).toEqual([10, 10, 10]);
  });

  it("follows the pace: who needs four times as long gets a quarter of the jobs", () => {
    const pool = new Pool(urls);
    for (const [url, milliseconds] of [
      ["http://a", 1_000],
      ["http://b", 1_000],
      ["http://c", 4_000],
    ] as const) {
      pool.ended(job(url), url, answered(milliseconds), 0);
    }
    expect(spread(pool, 36)).toEqual([16, 16, 4]);
  });

  it("counts a large input as more than a small one", () => {
    const pool = new Pool(urls.slice(0, 2));
    const first = chosen(pool.choose(job("large", 50e6), [], 0));
    const others = ["1", "2", "3"].map((id) => chosen(pool.choose(job(id, 1e5), [], 0)));
    expect(others).not.toContain(first);
  });

  it("measures the pace by the size of the job, and forgets what it was a minute ago", () => {
    const pool = new Pool(urls.slice(0, 2));
    pool.ended(job("large", 99e6), "http://a", answered(20_000), 0);
    pool.ended(job("small", 1e6), "http://b", answered(1_000), 0);
    // 200 ms a unit against 500.
    expect(chosen(pool.choose(job("1"), [], 1))).toBe("http://a");
    expect(chosen(pool.choose(job("2"), [], 1))).toBe("http://a");
    const later = new Pool(urls.slice(0, 2), () => 0.99);
    later.ended(job("slow", 1e6), "http://b", answered(60_000), 0);
    later.ended(job("fast", 1e6), "http://a", answered(1_000), 0);
    expect(chosen(later.choose(job("1"), [], 59_000))).toBe("http://a");
    expect(chosen(later.choose(job("2"), [], 61_000))).toBe("http://b");
  });

  it("does not count an analysis twice that is dispatched anew", () => {
    const pool = new Pool(urls);
    for (let n = 0; n < 9; n++) pool.choose(job("again"), [], 0);
    // With it that makes 30.
    expect(spread(pool, 29).toSorted((a, b) => a - b)).toEqual([9, 10, 10]);
  });

  it("does not count for ever what has never ended", () => {
    const pool = new Pool(urls.slice(0, 2));
    for (let n = 0; n < 10; n++) pool.choose(job(`lost${n}`), ["http://b"], 0);
    expect(chosen(pool.choose(job("1"), [], 1_000))).toBe("http://b");
    expect(spread(pool, 10, 601_001).slice(0, 2)).toEqual([5, 5]);
  });
});

describe("a runner that is full", () => {
  it("is left alone until it said it would be free, or until it has answered a job", () => {
    const pool = new Pool(urls.slice(0, 2));
    pool.ended(job("1"), "http://a", { kind: "full", retryAfter: 10_000 }, 0);
    for (const id of ["2", "3", "4"]) expect(chosen(pool.choose(job(id), [], 9_999))).toBe("http://b");
    expect(chosen(pool.choose(job("5"), ["http://b"], 10_000))).toBe("http://a");
    pool.ended(job("6"), "http://a", { kind: "full", retryAfter: 10_000 }, 20_000);
    pool.ended(job("5"), "http://a", answered(100), 20_001);
    expect(chosen(pool.choose(job("7"), ["http://b"], 20_002))).toBe("http://a");
  });

  it("and all the others as well: the job comes again when the first is free", () => {
    const pool = new Pool(urls.slice(0, 2));
    pool.ended(job("1"), "http://a", { kind: "full", retryAfter: 10_000 }, 0);
    pool.ended(job("1"), "http://b", { kind: "full", retryAfter: 4_000 }, 0);
    expect(pool.choose(job("2"), [], 1_000)).toEqual({ kind: "none", why: "full", retryAfter: 3_000 });
  });
});

describe("a runner that broke a call", () => {
  it("gets no job until a probe has found it well; the pauses grow", () => {
    const pool = new Pool(urls.slice(0, 1));
    pool.ended(job("1"), "http://a", { kind: "broken" }, 0);
    expect(pool.choose(job("2"), [], 500)).toEqual({ kind: "none", why: "unavailable", retryAfter: 500 });
    expect([pool.takeProbes(999), pool.takeProbes(1_000), pool.takeProbes(1_001)]).toEqual([[], ["http://a"], []]);
    pool.probed("http://a", false, 1_000);
    expect(pool.nextProbe()).toBe(3_000);
    for (let now = 3_000; now < 1e6; now = pool.nextProbe() ?? 0) {
      pool.takeProbes(now);
      pool.probed("http://a", false, now);
      expect((pool.nextProbe() ?? 0) - now).toBeLessThanOrEqual(30_000);
    }
    // However much time goes by: only a probe lets it back in.
    expect(pool.choose(job("2"), [], 2e6)).toMatchObject({ kind: "none" });
    pool.takeProbes(2e6);
    pool.probed("http://a", true, 2e6);
    expect([pool.nextProbe(), chosen(pool.choose(job("2"), [], 2e6))]).toEqual([null, "http://a"]);
  });

  it("loses the jobs it had in hand, so that it is not thought busy when it is back", () => {
    const pool = new Pool(urls.slice(0, 2));
    for (let n = 0; n < 8; n++) pool.choose(job(`lost${n}`), ["http://b"], 0);
    pool.ended(job("lost0"), "http://a", { kind: "broken" }, 0);
    pool.takeProbes(1_000);
    pool.probed("http://a", true, 1_000);
    expect(spread(pool, 10, 1_000).slice(0, 2)).toEqual([5, 5]);
  });
});

it("leaves a runner that drains or loads alone until it says that it is ready", () => {
  const pool = new Pool(urls.slice(0, 2));
  pool.ended(job("1"), "http://a", { kind: "away", retryAfter: 5_000 }, 0);
  expect(chosen(pool.choose(job("2"), [], 60_000))).toBe("http://b");
  expect([pool.takeProbes(4_999), pool.takeProbes(5_000)]).toEqual([[], ["http://a"]]);
});

it("offers a release to those that serve it, and asks the others again after a while", () => {
  const pool = new Pool(urls.slice(0, 2));
  pool.ended(job("1"), "http://a", { kind: "other_release" }, 0);
  for (const id of ["2", "3", "4"]) expect(chosen(pool.choose(job(id), [], 1))).toBe("http://b");
  expect(chosen(pool.choose(job("5", 1e6, "r0"), [], 1))).toBe("http://a");
  pool.ended(job("2"), "http://b", { kind: "other_release" }, 1_000);
  expect(pool.choose(job("6"), [], 2_000)).toEqual({ kind: "none", why: "other_release", retryAfter: 3_000 });
  expect(chosen(pool.choose(job("6"), [], 5_000))).toBe("http://a");
});
