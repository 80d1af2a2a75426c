import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { createdApiKey } from "@omni-iml/shared/accounts";
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

describe("at every POST of the API", () => {
  interface Sent {
    path: string;
    body?: object;
    /** What the key does not stand for; none where a request says nothing but its address. */
    other?: { path?: string; body?: object };
  }

  const address = async () => (await outside({ body: newImage() })).url;
  const made = async (account: TestAccount, path: string, body: object) =>
    (await (await postJson(account, path, body)).json<{ id: string }>()).id;
  const analysed = async (account: TestAccount) => (await resource(send(account, newImage()))).id;
  const endpoint = async (account: TestAccount) =>
    made(account, "/v1/webhook-endpoints", { url: (await outside({ status: 200 })).url });

  const cases: Record<string, (account: TestAccount) => Promise<Sent>> = {
    "/v1/analyses": async () => ({
      path: "/v1/analyses",
      body: { image_url: await address() },
      other: { body: { image_url: await address() } },
    }),
    "/v1/analyses/{id}/cancel": async (account) => ({ path: `/v1/analyses/${await analysed(account)}/cancel` }),
    "/v1/analyses/{id}/feedback": async (account) => ({
      path: `/v1/analyses/${await analysed(account)}/feedback`,
      body: { finding: "right" },
      other: { body: { finding: "missed" } },
    }),
    "/v1/analyses/{id}/share": async (account) => ({ path: `/v1/analyses/${await analysed(account)}/share` }),
    "/v1/uploads": async () => ({
      path: "/v1/uploads",
      body: { bytes: 1, content_type: "image/png" },
      other: { body: { bytes: 2, content_type: "image/png" } },
    }),
    "/v1/batches": async () => ({
      path: "/v1/batches",
      body: { items: [{ image_url: await address() }] },
      other: { body: { items: [{ image_url: await address() }] } },
    }),
    "/v1/batches/{id}/cancel": async (account) => ({
      path: `/v1/batches/${await made(account, "/v1/batches", { items: [{ image_url: await address() }] })}/cancel`,
    }),
    "/v1/webhook-endpoints": async () => ({
      path: "/v1/webhook-endpoints",
      body: { url: "https://example.com/" },
      other: { body: { url: "https://example.com/", description: "another" } },
    }),
    "/v1/webhook-endpoints/{id}/rotate-secret": async (account) => ({
      path: `/v1/webhook-endpoints/${await endpoint(account)}/rotate-secret`,
      body: { expire_old_in_s: 60 },
      other: { body: { expire_old_in_s: 61 } },
    }),
    "/v1/webhook-endpoints/{id}/test": async (account) => ({
      path: `/v1/webhook-endpoints/${await endpoint(account)}/test`,
    }),
    "/v1/webhook-endpoints/{id}/dead-letters/replay": async (account) => ({
      path: `/v1/webhook-endpoints/${await endpoint(account)}/dead-letters/replay`,
    }),
    "/v1/webhook-endpoints/{id}/deliveries/{delivery}/redeliver": async (account) => {
      const path = `/v1/webhook-endpoints/${await endpoint(account)}`;
      return { path: `${path}/deliveries/${await made(account, `${path}/test`, {})}/redeliver` };
    },
    "/v1/api-keys": async () => ({
      path: "/v1/api-keys",
      body: { name: "one" },
      other: { body: { name: "another" } },
    }),
    "/v1/api-keys/{id}/roll": async (account) => {
      const { id } = createdApiKey.parse(await (await postJson(account, "/v1/api-keys", { name: "old" })).json());
      return { path: `/v1/api-keys/${id}/roll`, body: {}, other: { body: { expire_old_in_s: 60 } } };
    },
    "/v1/accounts": async () => ({
      path: "/v1/accounts",
      body: { name: "one" },
      other: { body: { name: "another" } },
    }),
    "/v1/index/rebuild": async () => ({
      path: "/v1/index/rebuild?limit=1",
      other: { path: "/v1/index/rebuild?limit=2" },
    }),
  };
  /** Whoever asks for a session has no account yet that a key could belong to; a browser that has one keeps it. */
  const without = ["/v1/playground/session"];

  it("there is a case, and for nothing else", async () => {
    const { paths } = await (await request(null, "/openapi.json")).json<{ paths: Record<string, object> }>();
    const posts = Object.entries(paths).flatMap(([path, item]) => ("post" in item ? [path] : []));
    expect([...Object.keys(cases), ...without].sort()).toEqual(posts.sort());
  });

  it.each(Object.entries(cases))("%s", async (_, prepare) => {
    const account = await newAccount({ scopes: "read write admin", operator: true });
    const { path, body, other } = await prepare(account);
    const ask = (to: string, sent: object | undefined) => {
      const headers = { "idempotency-key": "k", ...(sent === undefined ? {} : { "content-type": "application/json" }) };
      return request(account, to, { method: "POST", headers, ...(sent && { body: JSON.stringify(sent) }) });
    };
    const first = await ask(path, body);
    expect(first.ok, await first.clone().text()).toBe(true);
    expect(first.headers.get("idempotency-replayed")).toBeNull();
    const again = await ask(path, body);
    expect([again.status, again.headers.get("idempotency-replayed")]).toEqual([first.status, "true"]);
    const id = async (answer: Response) => (await answer.json<{ id?: string }>()).id;
    expect(await id(again)).toBe(await id(first));
    if (other) await expectProblem(ask(other.path ?? path, other.body ?? body), "idempotency_key_reused");
  });

  it.each([
    ["/v1/uploads", { bytes: 1, content_type: "image/png" }, { bytes: 2, content_type: "image/png" }],
    ["/v1/webhook-endpoints", { url: "https://example.com/a" }, { url: "https://example.com/b" }],
    ["/v1/batches", { items: [{ image_url: "https://1.test/" }] }, { items: [{ image_url: "https://2.test/" }] }],
  ])("what %s has made frees its key when it is deleted, for any payload", async (path, body, other) => {
    const account = await newAccount();
    const create = async (sent: object) => {
      const answer = await postJson(account, path, sent, { "idempotency-key": "k" });
      expect([answer.ok, answer.headers.get("idempotency-replayed")]).toEqual([true, null]);
      return (await answer.json<{ id: string }>()).id;
    };
    const remove = async (id: string) =>
      expect((await request(account, `${path}/${id}`, { method: "DELETE" })).status).toBe(204);
    const ids: string[] = [];
    for (const sent of [body, body, other]) {
      const id = await create(sent);
      await remove(id);
      ids.push(id);
    }
    expect(new Set(ids).size).toBe(3);
    await create(body);
    await expectProblem(postJson(account, path, other, { "idempotency-key": "k" }), "idempotency_key_reused");
  });
});
