/** What of an analysis stays how long, and what shows that it is gone. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { type Erasure, erasure } from "@omni-iml/shared/erasure";
import { describe, expect, it } from "vitest";
import {
  analysisObject,
  eventually,
  expectProblem,
  keyOf,
  newAccount,
  newImage,
  postJson,
  problem,
  request,
  resource,
  resultOf,
  ring,
  runnerFor,
  send,
  storedKeys,
  type TestAccount,
  timersOf,
} from "../testing/client.ts";

async function erasureOf(account: TestAccount, id: string): Promise<Erasure> {
  const response = await request(account, `/v1/analyses/${id}/erasure`);
  expect(response.status).toBe(200);
  return erasure.parse(await response.json());
}

describe("an erasure", () => {
  it("is shown by what is left in storage, until nothing can come back any more", async () => {
    const account = await newAccount();
    const { id, files } = await resource(send(account, newImage()));
    await expectProblem(request(account, `/v1/analyses/${id}/erasure`), "not_found");
    const key = keyOf(files.mask?.url);
    await env.STORAGE.put(key, "a mask");
    await request(account, `/v1/analyses/${id}`, { method: "DELETE" });
    const shown = await erasureOf(account, id);
    expect(shown).toMatchObject({
      analysis: id,
      reason: "deleted",
      status: "sweeping",
      remaining: { input: 0, record: 0, results: 0 },
      results_shared: false,
    });
    // The runner's addresses, good for 600 s, are what it still waits for.
    expect(Date.parse(shown.final_sweep_at ?? "")).toBeGreaterThan(Date.now() + 500_000);

    await env.STORAGE.put(key, "a late mask");
    expect((await erasureOf(account, id)).remaining).toEqual({ input: 0, record: 0, results: 1 });
    await runInDurableObject(await resultOf(id), async (object, state) => {
      state.storage.sql.exec("UPDATE timers SET due = 0");
      state.storage.sql.exec("UPDATE result SET put_until = 0");
      await object.alarm();
    });
    expect(await erasureOf(account, id)).toMatchObject({
      status: "complete",
      remaining: { input: 0, record: 0, results: 0 },
      final_sweep_at: null,
    });
  });

  it("says that another analysis of the same bytes still has the results, and leaves it whole", async () => {
    const account = await newAccount();
    const image = newImage();
    const first = await resource(send(account, image));
    const second = await resource(send(account, image));
    const key = keyOf(first.files.mask?.url);
    await env.STORAGE.put(key, "a mask");
    await request(account, `/v1/analyses/${first.id}`, { method: "DELETE" });
    expect(await erasureOf(account, first.id)).toMatchObject({ results_shared: true, remaining: { results: 0 } });
    expect(await storedKeys(key)).toEqual([key]);
    expect(await storedKeys(`inputs/${account.id}/`)).toEqual([`inputs/${account.id}/${second.id}`]);
    expect(await resource(request(account, `/v1/analyses/${second.id}`))).toMatchObject({ verdict: "tampered" });
  });

  it("leaves nothing of the customer in the objects", async () => {
    const account = await newAccount();
    const image = newImage();
    const { id } = await resource(
      send(account, image, { fields: { metadata: '{"name":"a secret"}', webhook: '{"url":"https://secret.test/"}' } }),
    );
    await postJson(account, `/v1/analyses/${id}/feedback`, { finding: "right", comment: "a secret" });
    await request(account, `/v1/analyses/${id}`, { method: "DELETE" });
    const left = await runInDurableObject(analysisObject(id), (_, state) =>
      JSON.stringify([
        state.storage.sql.exec("SELECT * FROM record").toArray(),
        state.storage.sql.exec("SELECT * FROM events").toArray(),
      ]),
    );
    expect(left).not.toContain("secret");
    expect(left).not.toContain("tampered");
    expect(left).not.toContain("photo.png");
  });

  it("of an analysis that has expired is shown, too, and to nobody else", async () => {
    const account = await newAccount();
    const { id } = await resource(send(account, newImage()));
    await ring(id, "expire");
    await eventually(async () => {
      expect(await erasureOf(account, id)).toMatchObject({ reason: "expired", remaining: { input: 0, record: 0 } });
    });
    await expectProblem(request(await newAccount(), `/v1/analyses/${id}/erasure`), "not_found");
  });
});

describe("retention", () => {
  it("is the deployment's, the account's, or the request's, the nearest first", async () => {
    const account = await newAccount();
    const kept = async (fields: Record<string, string>) => {
      const { ended_at, expires_at } = await resource(send(account, newImage(), { fields }));
      return (Date.parse(expires_at ?? "") - Date.parse(ended_at ?? "")) / 1000;
    };
    expect(await kept({})).toBe(604_800);
    const operator = await newAccount({ scopes: "admin", operator: true });
    const set = (retention_s: number | null) =>
      request(operator, `/v1/accounts/${account.id}`, {
        method: "PATCH",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ retention_s }),
      });
    expect(await (await set(7_200)).json()).toMatchObject({ retention_s: 7_200 });
    expect(await kept({})).toBe(7_200);
    expect(await kept({ options: '{"retention_s":90}' })).toBe(90);
    expect(await (await set(null)).json()).toMatchObject({ retention_s: null });
    expect(await kept({})).toBe(604_800);
  });

  it("shorter than the input's takes the input along", async () => {
    const account = await newAccount();
    const { id, ended_at } = await resource(send(account, newImage(), { fields: { options: '{"retention_s":60}' } }));
    const due = await runInDurableObject(
      analysisObject(id),
      (_, state) =>
        state.storage.sql.exec<{ due: number }>("SELECT due FROM timers WHERE kind = 'erase_input'").one().due,
    );
    expect(due).toBe(Date.parse(ended_at ?? "") + 60_000);
  });
});

describe("feedback", () => {
  it("is kept with the record, the newest in place of the others", async () => {
    const account = await newAccount();
    const { id, feedback } = await resource(send(account, newImage()));
    expect(feedback).toBeNull();
    const path = `/v1/analyses/${id}/feedback`;
    await postJson(account, path, { finding: "right" });
    const noted = await resource(postJson(account, path, { finding: "wrong_region", comment: "the sign" }));
    expect(noted.feedback).toMatchObject({ finding: "wrong_region", comment: "the sign" });
    await eventually(async () => {
      const copy = await env.STORAGE.get(`records/${account.id}/${id}.json`);
      expect(JSON.parse((await copy?.text()) ?? "null")).toMatchObject({
        analysis: { feedback: { finding: "wrong_region" } },
      });
    });
    await expectProblem(postJson(account, path, { finding: "maybe" }), "invalid_request");
    await expectProblem(postJson(await newAccount(), path, { finding: "right" }), "not_found");
  });
});

describe("cancel", () => {
  it("ends a queued analysis at once, and the runner is not asked again", async () => {
    const account = await newAccount();
    const image = newImage();
    const runner = await runnerFor(image, { kind: "refuse", problem: problem("runner_busy"), retryAfter: 1 });
    const { id } = await resource(send(account, image, { prefer: "wait=0" }));
    await eventually(async () => expect(await runner.calls()).toHaveLength(1));
    expect(await resource(request(account, `/v1/analyses/${id}`))).toMatchObject({ status: "queued" });
    const canceled = await resource(request(account, `/v1/analyses/${id}/cancel`, { method: "POST" }));
    expect(canceled).toMatchObject({ status: "canceled", verdict: null, files: {} });
    expect(await timersOf(id)).not.toContain("dispatch");
    await analysisObject(id).dispatchAndWait();
    expect(await runner.calls()).toHaveLength(1);
  });
});
