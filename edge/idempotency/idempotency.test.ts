import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { sha256Hex } from "../storage/digest.ts";
import {
  ended,
  expectProblem,
  newAccount,
  newImage,
  outside,
  postJson,
  request,
  resource,
  runnerFor,
  send,
  type TestAccount,
} from "../testing/client.ts";

/** Sends the image as a raw body under a key. */
function keyed(account: TestAccount, key: string, image: Uint8Array<ArrayBuffer>, prefer = "wait=30") {
  const headers = { "idempotency-key": key, "content-type": "image/png", prefer };
  return request(account, "/v1/analyses", { method: "POST", body: image, headers });
}

async function objectOf(account: TestAccount, key: string, path = "/v1/analyses") {
  return env.IDEMPOTENCY.getByName(await sha256Hex(JSON.stringify([account.id, "POST", path, key])));
}

describe("Idempotency-Key", () => {
  it("a hundred identical requests at once make one analysis, and all are told of it", async () => {
    const account = await newAccount();
    const image = newImage();
    const runner = await runnerFor(image);
    const answers = await Promise.all(Array.from({ length: 100 }, () => keyed(account, "k1", image)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    const ids = await Promise.all(answers.map(async (answer) => (await resource(answer)).id));
    expect(new Set(ids).size).toBe(1);
    expect(answers.filter((answer) => answer.headers.get("idempotency-replayed") === "true")).toHaveLength(99);
    expect(await runner.calls()).toHaveLength(1);
    const { n } = (await env.DATABASE.prepare("SELECT COUNT(*) AS n FROM analyses WHERE account_id = ?")
      .bind(account.id)
      .first<{ n: number }>()) ?? { n: -1 };
    expect(n).toBe(1);
  });

  it("stands for one payload, in whichever form it comes", async () => {
    const account = await newAccount();
    const image = newImage();
    const { id } = await resource(keyed(account, "k", image));
    const other = await expectProblem(keyed(account, "k", newImage()), "idempotency_key_reused");
    expect(other.status).toBe(422);
    const query = new URLSearchParams({ options: '{"threshold":0.2}' });
    const headers = { "idempotency-key": "k", "content-type": "image/png" };
    const options = request(account, `/v1/analyses?${query}`, { method: "POST", body: image, headers });
    await expectProblem(options, "idempotency_key_reused");
    // Spelled out, the defaults are still the same request.
    const spelled = new URLSearchParams({ options: '{"evidence":true}' });
    const same = request(account, `/v1/analyses?${spelled}`, { method: "POST", body: image, headers });
    expect((await resource(same)).id).toBe(id);
  });

  it("belongs to the account and to the route", async () => {
    const [one, two] = [await newAccount(), await newAccount()];
    const image = newImage();
    const ids = [(await resource(keyed(one, "k", image))).id, (await resource(keyed(two, "k", newImage()))).id];
    expect(new Set(ids).size).toBe(2);
    const headers = { "idempotency-key": "k" };
    const upload = await postJson(one, "/v1/uploads", { bytes: 1, content_type: "image/png" }, headers);
    expect(upload.status).toBe(201);
  });

  it("shows an analysis that is still under way, and later its end", async () => {
    const account = await newAccount();
    const image = newImage();
    const runner = await runnerFor(image, { kind: "hold" });
    const first = await keyed(account, "k", image, "wait=0");
    const second = await keyed(account, "k", image, "wait=0");
    expect([first.status, second.status]).toEqual([202, 202]);
    const { id } = await resource(first);
    expect((await resource(second)).id).toBe(id);
    await runner.open();
    await ended(account, id);
    expect(await resource(keyed(account, "k", image))).toMatchObject({ id, status: "succeeded" });
  });

  it("is free again after a refusal", async () => {
    const account = await newAccount();
    const bad = await outside({ status: 404 });
    const headers = { "idempotency-key": "k" };
    await expectProblem(postJson(account, "/v1/analyses", { image_url: bad.url }, headers), "image_url_failed");
    const good = await outside({ body: newImage() });
    expect((await postJson(account, "/v1/analyses", { image_url: good.url }, headers)).status).toBe(201);
  });

  it("is free again when its analysis is deleted", async () => {
    const account = await newAccount();
    const { id } = await resource(keyed(account, "k", newImage()));
    await request(account, `/v1/analyses/${id}`, { method: "DELETE" });
    const next = await resource(keyed(account, "k", newImage()));
    expect(next.id).not.toBe(id);
  });

  it("is free again after 24 hours, however late the alarm is", async () => {
    const account = await newAccount();
    const { id } = await resource(keyed(account, "k", newImage()));
    const object = await objectOf(account, "k");
    const alarm = await runInDurableObject(object, async (_, state) => {
      const { expires_at } = state.storage.sql.exec<{ expires_at: number }>("SELECT expires_at FROM key").one();
      expect(await state.storage.getAlarm()).toBe(expires_at);
      state.storage.sql.exec("UPDATE key SET expires_at = ?", Date.now() - 1);
      return expires_at;
    });
    expect(alarm - Date.now()).toBeGreaterThan(23.9 * 3_600_000);
    expect(alarm - Date.now()).toBeLessThanOrEqual(24 * 3_600_000);
    const next = await resource(keyed(account, "k", newImage()));
    expect(next.id).not.toBe(id);
    // The alarm of the first one must not take the second one's key.
    await runDurableObjectAlarm(object);
    await expectProblem(keyed(account, "k", newImage()), "idempotency_key_reused");
  });

  it("whose first request was cut off goes on under the same id", async () => {
    const account = await newAccount();
    const image = newImage();
    const { id } = await resource(keyed(account, "k", image));
    const object = await objectOf(account, "k");
    // As if the worker had died between the record and the key, its lease over.
    await runInDurableObject(object, (_, state) => {
      state.storage.sql.exec("UPDATE key SET done = 0, lease_until = 0");
    });
    expect((await resource(keyed(account, "k", image))).id).toBe(id);
  });

  it("lets the next one lead when the first one fails", async () => {
    const object = env.IDEMPOTENCY.getByName(crypto.randomUUID());
    expect(await object.begin("p", "id-1")).toEqual({ kind: "lead", id: "id-1", again: false });
    const waiting = [object.begin("p", "id-2"), object.begin("p", "id-3")];
    await object.free("id-1");
    const next = await Promise.race(waiting);
    expect(next).toMatchObject({ kind: "lead", again: false });
    await object.complete(next.kind === "conflict" ? "" : next.id);
    const kinds = (await Promise.all(waiting)).map(({ kind }) => kind).sort();
    expect(kinds).toEqual(["lead", "replay"]);
  });

  it.each(["", "two words", "ü", "x".repeat(256)])("%j is none", async (key) => {
    const account = await newAccount();
    const headers = new Headers({ "content-type": "image/png" });
    headers.set("idempotency-key", key);
    const sent = request(account, "/v1/analyses", { method: "POST", body: newImage(), headers });
    const document = await expectProblem(sent, "invalid_request");
    expect(document.errors?.[0]?.path).toMatch(/idempotency-key/);
  });

  it("is taken by cancel, too", async () => {
    const account = await newAccount();
    const image = newImage();
    await runnerFor(image, { kind: "hold" });
    const { id } = await resource(send(account, image, { prefer: "wait=0" }));
    const cancel = () =>
      request(account, `/v1/analyses/${id}/cancel`, { method: "POST", headers: { "idempotency-key": "k" } });
    const first = await cancel();
    expect(await resource(first)).toMatchObject({ id, status: "canceled" });
    const second = await cancel();
    expect(second.headers.get("idempotency-replayed")).toBe("true");
    expect(await resource(second)).toMatchObject({ id, status: "canceled" });
  });
});
