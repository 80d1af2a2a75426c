import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { analysisOptions, outputNames } from "@omni-iml/shared/analysis";
import { newId } from "@omni-iml/shared/ids";
import { describe, expect, it } from "vitest";
import {
  analysisObject,
  ended,
  eventually,
  keyOf,
  newAccount,
  newImage,
  problem,
  resource,
  resultOf,
  ring,
  runnerFor,
  send,
  storedKeys,
  type TestAccount,
  timersOf,
} from "../testing/client.ts";
import { cacheKey } from "./cache-key.ts";
import { listAnalyses, updateIndex } from "./index-table.ts";
import { release } from "./release.ts";

/** Sends the image without waiting and returns the id. */
async function start(account: TestAccount, image: Uint8Array<ArrayBuffer>): Promise<string> {
  return (await resource(send(account, image, { prefer: "wait=0" }))).id;
}

/** The analyses that wait for what `leader` is computing. */
async function followers(leader: string): Promise<unknown[]> {
  return runInDurableObject(await resultOf(leader), (_, state) =>
    state.storage.sql.exec("SELECT analysis FROM followers").toArray(),
  );
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

describe("attempts", () => {
  it("tries again when the lease runs out, and ignores the first attempt's late result", async () => {
    const account = await newAccount();
    const image = newImage();
    const runner = await runnerFor(image, { kind: "silent" }, { kind: "succeed" });
    const id = await start(account, image);
    expect(await ended(account, id)).toMatchObject({ status: "succeeded", attempts: 2, error: null });
    const [first, second] = await runner.calls();
    expect(first?.outputs.mask?.split("?")[0]).not.toBe(second?.outputs.mask?.split("?")[0]);
  });

  it("ignores the result of an attempt that has lost its claim while it was still at work", async () => {
    const account = await newAccount();
    const image = newImage();
    const late = { score: 0.1, verdict: "no_tampering_detected" } as const;
    const runner = await runnerFor(image, { kind: "hold", finding: late }, { kind: "hold" });
    const id = await start(account, image);
    await eventually(async () => expect(await runner.calls()).toHaveLength(1));
    // The first attempt goes on, but the claim is given away: both will finish at the same time.
    await runInDurableObject(analysisObject(id), (object, state) => {
      state.storage.sql.exec("UPDATE record SET claimed = 0");
      object.dispatch();
    });
    await eventually(async () => expect(await runner.calls()).toHaveLength(2));
    await runner.open();
    expect(await ended(account, id)).toMatchObject({
      status: "succeeded",
      verdict: "tampered",
      score: 0.9,
      attempts: 2,
    });
    const retries = await runInDurableObject(analysisObject(id), (_, state) =>
      state.storage.sql.exec("SELECT 1 FROM events WHERE data LIKE '%retrying%'").toArray(),
    );
    expect(retries).toEqual([]);
  });

  it("keeps the lease as long as the runner sends lines", async () => {
    const account = await newAccount();
    const image = newImage();
    const runner = await runnerFor(image, { kind: "hold" });
    const id = await start(account, image);
    await pause(4_500);
    await runner.open();
    expect(await ended(account, id)).toMatchObject({ status: "succeeded", attempts: 1 });
    expect(await runner.calls()).toHaveLength(1);
  });

  it("goes on after its object was lost in the middle of an attempt", async () => {
    const account = await newAccount();
    const image = newImage();
    const runner = await runnerFor(image, { kind: "hold" }, { kind: "succeed" });
    const id = await start(account, image);
    await eventually(async () => expect((await runner.calls()).length).toBe(1));
    await abortAllDurableObjects();
    await eventually(async () => {
      expect(await ended(account, id)).toMatchObject({ status: "succeeded", attempts: 2 });
    });
  });

  it("gives a busy runner time and does not count that as a failure", async () => {
    const account = await newAccount();
    const image = newImage();
    const busy = { kind: "refuse", problem: problem("runner_busy"), retryAfter: 0 } as const;
    const absent = { kind: "refuse", problem: problem("runner_unavailable"), retryAfter: 0 } as const;
    const runner = await runnerFor(image, busy, absent, busy, busy, { kind: "succeed" });
    const id = await start(account, image);
    expect(await ended(account, id)).toMatchObject({ status: "succeeded", attempts: 1 });
    expect(await runner.calls()).toHaveLength(5);
  });

  it("does not count it as a failure either when a runner gives a job back after it had begun to answer", async () => {
    const account = await newAccount();
    const image = newImage();
    const back = { kind: "problem", problem: problem("runner_busy") } as const;
    // As many as there are attempts.
    await runnerFor(image, back, back, back, { kind: "succeed" });
    expect(await ended(account, await start(account, image))).toMatchObject({ status: "succeeded" });
  });

  it("waits in `queued` while the runner is busy", async () => {
    const account = await newAccount();
    const image = newImage();
    await runnerFor(image, { kind: "refuse", problem: problem("runner_busy"), retryAfter: 60 });
    const response = await send(account, image, { prefer: "wait=1" });
    expect(response.status).toBe(202);
    expect(await resource(response)).toMatchObject({ status: "queued", attempts: 0, started_at: null });
  });

  it.each([
    ["crash", { kind: "crash" }],
    ["retryable problem", { kind: "problem", problem: problem("output_unavailable") }],
  ] as const)("tries again after a %s", async (_, step) => {
    const account = await newAccount();
    const image = newImage();
    await runnerFor(image, step, { kind: "succeed" });
    expect(await resource(send(account, image))).toMatchObject({ status: "succeeded", attempts: 2 });
  });

  it("ends `attempts_exhausted` with the last reason after too many failures", async () => {
    const account = await newAccount();
    const image = newImage();
    const runner = await runnerFor(image, { kind: "problem", problem: problem("inference_crashed", "out of memory") });
    const analysis = await resource(send(account, image));
    expect(analysis).toMatchObject({ status: "failed", attempts: 3, error: { code: "attempts_exhausted" } });
    expect(analysis.error?.detail).toContain("out of memory");
    expect(analysis.error?.instance).toBe(analysis.id);
    expect(await runner.calls()).toHaveLength(3);
  });

  it("ends at once with a problem that no retry can help", async () => {
    const account = await newAccount();
    const image = newImage();
    const runner = await runnerFor(image, { kind: "refuse", problem: problem("image_corrupt") });
    const analysis = await resource(send(account, image));
    expect(analysis).toMatchObject({ status: "failed", attempts: 1, error: { code: "image_corrupt" } });
    expect(analysis.started_at).not.toBeNull();
    expect(await runner.calls()).toHaveLength(1);
  });

  it("does not blame the customer for a request that the runner does not accept from the edge", async () => {
    const account = await newAccount();
    const image = newImage();
    await runnerFor(image, { kind: "problem", problem: problem("invalid_request") });
    expect(await resource(send(account, image))).toMatchObject({
      status: "failed",
      error: { code: "attempts_exhausted" },
    });
  });

  it("does not accept a finding about other bytes", async () => {
    const account = await newAccount();
    const image = newImage();
    const other = {
      sha256: "f".repeat(64),
      format: "png",
      width: 1,
      height: 1,
      bytes: 1,
      orientation: 1,
      frames: 1,
    } as const;
    await runnerFor(image, { kind: "succeed", finding: { image: { ...other, jpeg: null } } });
    expect(await resource(send(account, image))).toMatchObject({ status: "failed", error: { code: "input_changed" } });
  });

  it("ends at its deadline whatever the runner does", async () => {
    const account = await newAccount();
    const image = newImage();
    await runnerFor(image, { kind: "hold" });
    const id = await start(account, image);
    await ring(id, "deadline");
    expect(await ended(account, id)).toMatchObject({ status: "failed", error: { code: "deadline_exceeded" } });
  });

  it("is dispatched by its own timer where the queue has lost it", async () => {
    const account = await newAccount();
    const image = newImage();
    const runner = await runnerFor(image);
    const { id } = await resource(send(account, image, { prefer: "respond-async" }));
    await ring(id, "dispatch").catch(() => undefined);
    expect(await ended(account, id)).toMatchObject({ status: "succeeded" });
    await Promise.all([analysisObject(id).dispatch(), analysisObject(id).dispatchAndWait()]);
    expect(await runner.calls()).toHaveLength(1);
  });
});

describe("one record, its copies", () => {
  it("has one set of events, in order", async () => {
    const account = await newAccount();
    const image = newImage();
    await runnerFor(image, { kind: "crash" }, { kind: "succeed" });
    const { id } = await resource(send(account, image));
    const events = await runInDurableObject(analysisObject(id), (_, state) =>
      state.storage.sql
        .exec<{ sequence: number; type: string; data: string }>("SELECT * FROM events ORDER BY sequence")
        .toArray(),
    );
    expect(events.map((event) => event.sequence)).toEqual(events.map((_, i) => i + 1));
    const transitions = events.filter((event) => event.type === "status").map((event) => JSON.parse(event.data).status);
    expect(transitions).toEqual(["queued", "running", "succeeded"]);
  });

  it("is written to storage at the end, and leaves no timer but those of its retention", async () => {
    const account = await newAccount();
    const { id } = await resource(send(account, newImage()));
    const key = `records/${account.id}/${id}.json`;
    await eventually(async () => {
      const copy = await env.STORAGE.get(key);
      expect(JSON.parse((await copy?.text()) ?? "null")).toMatchObject({
        account: account.id,
        analysis: { id, status: "succeeded", verdict: "tampered" },
      });
      expect(await timersOf(id)).toEqual(["erase_input", "expire"]);
    });
  });

  it("brings the index up to date when the database answers again", async () => {
    const account = await newAccount();
    await env.DATABASE.prepare("ALTER TABLE analyses RENAME TO away").run();
    const { id } = await resource(send(account, newImage()));
    await pause(200);
    expect(await timersOf(id)).toContain("index");
    await env.DATABASE.prepare("ALTER TABLE away RENAME TO analyses").run();
    await ring(id, "index");
    const row = () => env.DATABASE.prepare("SELECT status, sequence FROM analyses WHERE id = ?").bind(id).first();
    await eventually(async () => expect(await row()).toMatchObject({ status: "succeeded" }));
    await eventually(async () => expect(await timersOf(id)).not.toContain("index"));
  });

  it("never takes the index back to an older state", async () => {
    const account = await newAccount();
    const state = { id: newId("analysis"), account: account.id, createdAt: 1, endedAt: null, expiresAt: null };
    const found = { cached: false, verdict: null, score: null };
    await updateIndex(env.DATABASE, { ...state, ...found, sequence: 3, status: "succeeded" });
    await updateIndex(env.DATABASE, { ...state, ...found, sequence: 2, status: "running" });
    const { data } = await listAnalyses(env.DATABASE, account.id, { limit: 10 });
    expect(data.map((line) => line.status)).toEqual(["succeeded"]);
  });
});

describe("results", () => {
  it("answers the same bytes again without the runner", async () => {
    const account = await newAccount();
    const image = newImage();
    const runner = await runnerFor(image);
    const first = await resource(send(account, image));
    const options = JSON.stringify({ outputs: [...outputNames].reverse(), retention_s: 600 });
    const second = await resource(send(account, image, { fields: { options } }));
    expect(second).toMatchObject({ status: "succeeded", cached: true, attempts: 0, score: first.score });
    expect(second.id).not.toBe(first.id);
    expect(second.files.mask?.url.split("?")[0]).toBe(first.files.mask?.url.split("?")[0]);
    expect(await runner.calls()).toHaveLength(1);
  });

  it("analyses anew where an option changes the answer", async () => {
    const account = await newAccount();
    const image = newImage();
    const runner = await runnerFor(image);
    await send(account, image);
    const other = await resource(send(account, image, { fields: { options: '{"threshold":0.25}' } }));
    expect(other.cached).toBe(false);
    expect(await runner.calls()).toHaveLength(2);
  });

  it("gives what may fare better another time to nobody who comes later, and to all who waited for it", async () => {
    const account = await newAccount();
    const image = newImage();
    const degraded_checks = [{ check: "report_pdf", reason: "The report could not be laid out.", retryable: true }];
    const runner = await runnerFor(image, { kind: "hold", finding: { degraded_checks } }, { kind: "succeed" });
    const ids = [await start(account, image), await start(account, image)];
    await eventually(async () => expect(await runner.calls()).toHaveLength(1));
    await eventually(async () => expect(await followers(ids[0] ?? "")).toHaveLength(1));
    await runner.open();
    const [first, waited] = await Promise.all(ids.map((id) => ended(account, id)));
    for (const analysis of [first, waited]) {
      expect(analysis).toMatchObject({ status: "succeeded", degraded_checks });
      expect(Object.keys(analysis?.files ?? {})).toEqual(outputNames.filter((name) => name !== "report_pdf"));
    }
    expect(await runner.calls()).toHaveLength(1);

    const later = await resource(send(account, image));
    expect(later).toMatchObject({ status: "succeeded", cached: false, degraded_checks: [] });
    expect(await resource(send(account, image))).toMatchObject({ cached: true, degraded_checks: [] });
    expect(await runner.calls()).toHaveLength(2);

    // Each has its own files, and they go with the last analysis that has them.
    const keys = [first, later].map((analysis) => keyOf(analysis?.files.mask?.url));
    expect(new Set(keys).size).toBe(2);
    for (const key of keys) await env.STORAGE.put(key, "a mask");
    await analysisObject(ids[0] ?? "").erase(account.id);
    expect(await storedKeys(keys[0] ?? "")).toEqual([keys[0]]);
    await analysisObject(ids[1] ?? "").erase(account.id);
    expect(await Promise.all(keys.map(storedKeys))).toEqual([[], [keys[1]]]);
  });

  it("asks a language model anew while nobody has said which one it is", async () => {
    const account = await newAccount();
    const image = newImage();
    const runner = await runnerFor(image);
    const fields = { options: '{"interpretation":"vlm"}' };
    for (const calls of [1, 2]) {
      expect(await resource(send(account, image, { fields }))).toMatchObject({ cached: false });
      expect(await runner.calls()).toHaveLength(calls);
    }
    const key = (interpretation: "builtin" | "vlm", interpreter: string) =>
      cacheKey(account.id, "0", analysisOptions.parse({ interpretation }), release, interpreter);
    expect(await key("vlm", "one")).toBe(await key("vlm", "one"));
    expect(await key("vlm", "one")).not.toBe(await key("vlm", "other"));
    expect(await key("builtin", "one")).toBe(await key("builtin", "other"));
  });

  it("lets identical analyses under way share one runner call", async () => {
    const account = await newAccount();
    const image = newImage();
    const runner = await runnerFor(image, { kind: "hold" });
    const ids = [await start(account, image), await start(account, image), await start(account, image)];
    await eventually(async () => expect(await runner.calls()).toHaveLength(1));
    await runner.open();
    const all = await Promise.all(ids.map((id) => ended(account, id)));
    expect(all.map((analysis) => analysis.status)).toEqual(["succeeded", "succeeded", "succeeded"]);
    expect(all.filter((analysis) => analysis.cached)).toHaveLength(2);
    expect(await runner.calls()).toHaveLength(1);
  });

  it("does not let followers suffer when their leader is canceled", async () => {
    const account = await newAccount();
    const image = newImage();
    const runner = await runnerFor(image, { kind: "hold" }, { kind: "succeed" });
    const leader = await start(account, image);
    await eventually(async () => expect(await runner.calls()).toHaveLength(1));
    const follower = await start(account, image);
    await analysisObject(leader).cancel(account.id);
    expect(await ended(account, follower)).toMatchObject({ status: "succeeded", cached: false });
    expect(await ended(account, leader)).toMatchObject({ status: "canceled" });
  });

  it("does not let followers suffer when their leader fails", async () => {
    const account = await newAccount();
    const image = newImage();
    const hold = { kind: "hold" } as const;
    const runner = await runnerFor(image, hold, hold, hold, { kind: "succeed" });
    const leader = await start(account, image);
    await eventually(async () => expect(await runner.calls()).toHaveLength(1));
    const follower = await start(account, image);
    for (const attempt of [1, 2, 3]) {
      await eventually(async () => expect(await runner.calls()).toHaveLength(attempt));
      await ring(leader, "lease");
    }
    expect(await ended(account, leader)).toMatchObject({ status: "failed", error: { code: "attempts_exhausted" } });
    expect(await ended(account, follower)).toMatchObject({ status: "succeeded" });
  });

  it("keeps the files until the last analysis that refers to them is gone", async () => {
    const account = await newAccount();
    const image = newImage();
    const runner = await runnerFor(image);
    const first = await resource(send(account, image));
    const second = await resource(send(account, image));
    const key = keyOf(first.files.mask?.url);
    await env.STORAGE.put(key, "a mask");
    await analysisObject(first.id).erase(account.id);
    expect(await storedKeys(key)).toEqual([key]);
    await analysisObject(second.id).erase(account.id);
    expect(await storedKeys(key)).toEqual([]);
    expect(await resource(send(account, image))).toMatchObject({ cached: false });
    expect(await runner.calls()).toHaveLength(2);
  });

  it("sweeps once more what a late PUT has left", async () => {
    const account = await newAccount();
    const image = newImage();
    const { id, files } = await resource(send(account, image));
    const key = keyOf(files.mask?.url);
    const result = await resultOf(id);
    await analysisObject(id).erase(account.id);
    await env.STORAGE.put(key, "late");
    const due = await runInDurableObject(result, async (object, state) => {
      const before = state.storage.sql.exec<{ due: number }>("SELECT due FROM timers").one().due;
      state.storage.sql.exec("UPDATE timers SET due = 0");
      state.storage.sql.exec("UPDATE result SET put_until = 0");
      await object.alarm();
      return before;
    });
    // After the attempt's PUT addresses (600 s) have died.
    expect(due).toBeGreaterThan(Date.now() + 600_000);
    expect(await storedKeys(key)).toEqual([]);
  });
});
