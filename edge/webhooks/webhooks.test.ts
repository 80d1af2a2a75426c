import { abortAllDurableObjects, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { analysis } from "@omni-iml/shared/analysis";
import { analysisEvent, batchEvent, testEvent } from "@omni-iml/shared/webhook-messages";
import {
  createdWebhookEndpoint,
  type NewWebhookEndpoint,
  type WebhookDelivery,
  type WebhookEndpointChange,
  webhookDelivery,
  webhookDeliveryPage,
  webhookEndpoint,
  webhookEndpointList,
  webhookSecret,
} from "@omni-iml/shared/webhooks";
import { Webhook } from "standardwebhooks";
import { describe, expect, it } from "vitest";
import {
  analysisObject,
  ended,
  eventually,
  expectProblem,
  newAccount,
  newImage,
  outside,
  postJson,
  problem,
  request,
  resource,
  runnerFor,
  send,
  type TestAccount,
} from "../testing/client.ts";
import { perRequestEndpoint } from "./registry.ts";

const path = "/v1/webhook-endpoints";

async function register(account: TestAccount, endpoint: NewWebhookEndpoint) {
  const response = await postJson(account, path, endpoint);
  expect(response.status).toBe(201);
  return createdWebhookEndpoint.parse(await response.json());
}

async function read(account: TestAccount, id: string) {
  return webhookEndpoint.parse(await (await request(account, `${path}/${id}`)).json());
}

function patch(account: TestAccount, id: string, change: WebhookEndpointChange): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return request(account, `${path}/${id}`, { method: "PATCH", body: JSON.stringify(change), headers });
}

async function secretOf(account: TestAccount, id: string) {
  return webhookSecret.parse(await (await request(account, `${path}/${id}/secret`)).json());
}

async function deliveries(account: TestAccount, id: string, room = "deliveries"): Promise<WebhookDelivery[]> {
  return webhookDeliveryPage.parse(await (await request(account, `${path}/${id}/${room}`)).json()).data;
}

/** The endpoint's only delivery, once it has this status. */
async function settled(account: TestAccount, id: string, status: WebhookDelivery["status"]): Promise<WebhookDelivery> {
  let found: WebhookDelivery | undefined;
  await eventually(async () => {
    const all = await deliveries(account, id);
    expect(all.map((delivery) => delivery.status)).toEqual([status]);
    found = all[0];
  });
  if (!found) throw new Error("unreachable");
  return found;
}

async function test(account: TestAccount, id: string): Promise<WebhookDelivery> {
  const response = await request(account, `${path}/${id}/test`, { method: "POST" });
  expect(response.status).toBe(200);
  return webhookDelivery.parse(await response.json());
}

/** Makes everything that an endpoint still has to send due now. */
async function hurry(id: string): Promise<void> {
  const object = env.ENDPOINTS.getByName(id);
  await runInDurableObject(object, (_, state) => {
    state.storage.sql.exec("UPDATE deliveries SET due = 0 WHERE status = 'pending'");
    state.storage.sql.exec("UPDATE timers SET due = 0 WHERE kind = 'deliver'");
    return state.storage.setAlarm(Date.now() + 60_000);
  });
  await runDurableObjectAlarm(object);
}

/** Sends an image and returns the id of its analysis, which has ended. */
async function analyse(account: TestAccount, fields: Record<string, string> = {}): Promise<string> {
  return (await resource(send(account, newImage(), { fields }))).id;
}

describe("a registered endpoint", () => {
  it("is told of an analysis's end, in a message that an independent verifier accepts", async () => {
    const account = await newAccount();
    const receiver = await outside({ status: 204 });
    const { id, secret } = await register(account, { url: receiver.url });
    const analysisId = await analyse(account, { metadata: '{"case":"ü17"}' });
    const delivery = await settled(account, id, "succeeded");
    expect(delivery).toMatchObject({
      id: analysisId.replace("an_", "ev_"),
      type: "analysis.succeeded",
      subject: analysisId,
      url: receiver.url,
      next_attempt_at: null,
      attempts: [{ status: 204, error: null }],
    });
    const [call, ...more] = await receiver.calls();
    expect(more).toEqual([]);
    if (!call) throw new Error("unreachable");
    expect(call.method).toBe("POST");
    expect(call.headers["content-type"]).toBe("application/json");
    expect(call.headers["webhook-id"]).toBe(delivery.id);
    const message = analysisEvent.parse(new Webhook(secret).verify(call.body, call.headers));
    expect(message.data).toMatchObject({ id: analysisId, status: "succeeded", metadata: { case: "ü17" } });
    expect(message.data.files.mask?.url).toMatch(/X-Amz-Signature=/);
    expect(message.timestamp).toBe(message.data.ended_at);
    expect(() => new Webhook(secret).verify(call.body.replace("ü17", "u17"), call.headers)).toThrow();
    expect(() => new Webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").verify(call.body, call.headers)).toThrow();
  });

  it("gets only the events that it asks for", async () => {
    const account = await newAccount();
    const receiver = await outside({ status: 200 });
    const { id } = await register(account, { url: receiver.url, events: ["analysis.canceled"] });
    await analyse(account);
    const image = newImage();
    const runner = await runnerFor(image, { kind: "hold" });
    const held = (await resource(send(account, image, { prefer: "wait=0" }))).id;
    await request(account, `/v1/analyses/${held}/cancel`, { method: "POST" });
    await runner.open();
    expect(await settled(account, id, "succeeded")).toMatchObject({ type: "analysis.canceled", subject: held });
    await patch(account, id, { events: null, description: "all" });
    const next = await analyse(account);
    await eventually(async () => expect((await deliveries(account, id)).map((d) => d.subject)).toEqual([next, held]));
    expect(await read(account, id)).toMatchObject({ events: null, description: "all" });
  });

  it("is tried again until it answers 2xx, under the same id; every attempt is in the log", async () => {
    const account = await newAccount();
    const receiver = await outside({ status: 500 });
    const { id, secret } = await register(account, { url: receiver.url });
    const analysisId = await analyse(account);
    await eventually(async () => expect(await receiver.calls()).toHaveLength(1));
    await receiver.change({ status: 302, headers: { location: "/elsewhere" } });
    await eventually(async () => expect(await receiver.calls()).toHaveLength(2));
    expect((await read(account, id)).failing_since).not.toBeNull();
    await receiver.change({ status: 200 });
    const { attempts } = await settled(account, id, "succeeded");
    expect(attempts).toMatchObject([
      { status: 500, error: "It answered 500." },
      { status: 302, error: "Redirects are not followed." },
      { status: 200, error: null },
    ]);
    expect(attempts.every(({ duration_ms }) => duration_ms !== null && duration_ms >= 0)).toBe(true);
    const calls = await receiver.calls();
    expect(new Set(calls.map(({ headers }) => headers["webhook-id"]))).toEqual(
      new Set([analysisId.replace("an_", "ev_")]),
    );
    for (const { body, headers } of calls) new Webhook(secret).verify(body, headers);
    expect(await read(account, id)).toMatchObject({ failing_since: null, dead_letters: 0, enabled: true });
  });

  it("leaves dead letters after the last attempt; they are listed, sent again one by one or all at once", async () => {
    const account = await newAccount();
    const receiver = await outside({ status: 500 });
    const { id } = await register(account, { url: receiver.url });
    const first = await test(account, id);
    expect(first).toMatchObject({ status: "pending", attempts: [{ status: 500 }] });
    const second = await test(account, id);
    await eventually(async () => expect((await read(account, id)).dead_letters).toBe(2));
    const letters = await deliveries(account, id, "dead-letters");
    expect(letters.map((letter) => letter.id)).toEqual([second.id, first.id]);
    expect(letters.map((letter) => letter.attempts.map(({ status }) => status))).toEqual([
      [500, 500, 500],
      [500, 500, 500],
    ]);
    await receiver.change({ status: 200 });
    const redelivered = await request(account, `${path}/${id}/deliveries/${first.id}/redeliver`, { method: "POST" });
    expect(redelivered.status).toBe(202);
    const one = `${path}/${id}/deliveries/${first.id}`;
    const readOne = async () => webhookDelivery.parse(await (await request(account, one)).json());
    await eventually(async () => expect((await readOne()).status).toBe("succeeded"));
    expect((await readOne()).attempts).toHaveLength(4);
    const replayed = await request(account, `${path}/${id}/dead-letters/replay`, { method: "POST" });
    expect(replayed.status).toBe(202);
    expect(await replayed.json()).toEqual({ object: "webhook_replay", replayed: 1 });
    await eventually(async () =>
      expect(await read(account, id)).toMatchObject({ dead_letters: 0, failing_since: null }),
    );
    expect(await deliveries(account, id, "deliveries?status=dead")).toEqual([]);
  });

  it("is disabled by an answer of 410, says so, and gets what it missed once it is enabled and replayed", async () => {
    const account = await newAccount();
    const receiver = await outside({ status: 410 });
    const { id } = await register(account, { url: receiver.url });
    await analyse(account);
    expect(await settled(account, id, "dead")).toMatchObject({ attempts: [{ status: 410 }] });
    expect(await read(account, id)).toMatchObject({ enabled: false, disabled: { reason: "gone" }, dead_letters: 1 });
    await analyse(account);
    await eventually(async () => expect((await read(account, id)).dead_letters).toBe(2));
    expect(await receiver.calls()).toHaveLength(1);
    for (const action of ["test", "dead-letters/replay"]) {
      await expectProblem(request(account, `${path}/${id}/${action}`, { method: "POST" }), "endpoint_disabled");
    }
    await receiver.change({ status: 200 });
    const enabled = await patch(account, id, { enabled: true });
    expect(webhookEndpoint.parse(await enabled.json())).toMatchObject({ enabled: true, disabled: null });
    await request(account, `${path}/${id}/dead-letters/replay`, { method: "POST" });
    await eventually(async () => expect(await receiver.calls()).toHaveLength(3));
    await eventually(async () => expect((await read(account, id)).dead_letters).toBe(0));
  });

  it("is asked again no sooner than it wishes by Retry-After", async () => {
    const account = await newAccount();
    const receiver = await outside({ status: 503, headers: { "retry-after": "3600" } });
    const { id } = await register(account, { url: receiver.url });
    const { status, next_attempt_at } = await test(account, id);
    expect(status).toBe("pending");
    expect(Date.parse(next_attempt_at ?? "")).toBeGreaterThan(Date.now() + 3_500_000);
  });

  it("has a time limit", async () => {
    const account = await newAccount();
    const receiver = await outside({ status: 200, delay: 10_000 });
    const { id } = await register(account, { url: receiver.url });
    const { attempts } = await test(account, id);
    expect(attempts).toMatchObject([{ status: null, error: "There was no whole answer within 3 s." }]);
    expect(attempts[0]?.duration_ms).toBeGreaterThan(2_500);
  });

  it("can be tested", async () => {
    const account = await newAccount();
    const receiver = await outside({ status: 200 });
    const { id, secret } = await register(account, { url: receiver.url, events: ["batch.completed"] });
    expect(await test(account, id)).toMatchObject({ type: "webhook.test", status: "succeeded", subject: null });
    const [call] = await receiver.calls();
    expect(testEvent.parse(new Webhook(secret).verify(call?.body ?? "", call?.headers ?? {})).data.endpoint).toBe(id);
  });

  it("is told again where it is not known whether it was told, and no analysis that was erased meanwhile", async () => {
    const account = await newAccount();
    const receiver = await outside({ status: 200, delay: 1_000 });
    const { id } = await register(account, { url: receiver.url });
    const analysisId = await analyse(account);
    await eventually(async () => expect(await receiver.calls()).toHaveLength(1));
    await abortAllDurableObjects();
    await receiver.change({ status: 500 });
    await hurry(id);
    await eventually(async () => {
      const [delivery] = await deliveries(account, id);
      expect(delivery?.attempts).toMatchObject([
        { status: null, error: expect.stringContaining("cut off") },
        { status: 500 },
      ]);
    });
    await request(account, `/v1/analyses/${analysisId}`, { method: "DELETE" });
    await receiver.change({ status: 200 });
    const before = (await receiver.calls()).length;
    await hurry(id);
    await settled(account, id, "dropped");
    expect(await receiver.calls()).toHaveLength(before);
  });
});

describe("a webhook of one request", () => {
  it("is signed by the account's endpoint for requests and in its log", async () => {
    const account = await newAccount();
    const receiver = await outside({ status: 200 });
    const analysisId = await analyse(account, { webhook: JSON.stringify({ url: receiver.url }) });
    const id = perRequestEndpoint(account.id);
    expect(await settled(account, id, "succeeded")).toMatchObject({ subject: analysisId, url: receiver.url });
    const [call] = await receiver.calls();
    const { secret } = await secretOf(account, id);
    const message = analysisEvent.parse(new Webhook(secret).verify(call?.body ?? "", call?.headers ?? {}));
    expect(message.data.id).toBe(analysisId);
    const list = webhookEndpointList.parse(await (await request(account, path)).json());
    expect(list.data).toMatchObject([{ id, kind: "per_request", url: null, enabled: true }]);
  });

  it("is told only what it asks for, besides the account's endpoints, and can be named with a raw body", async () => {
    const account = await newAccount();
    const [named, registered] = [await outside({ status: 200 }), await outside({ status: 200 })];
    const { id } = await register(account, { url: registered.url });
    const webhook = JSON.stringify({ url: named.url, events: ["analysis.failed"] });
    const raw = (bytes: Uint8Array<ArrayBuffer>) =>
      request(account, `/v1/analyses?webhook=${encodeURIComponent(webhook)}`, {
        method: "POST",
        body: bytes,
        headers: { "content-type": "image/png", prefer: "wait=30" },
      });
    await raw(newImage());
    const broken = newImage();
    await runnerFor(broken, { kind: "refuse", problem: problem("image_corrupt") });
    const failed = await resource(raw(broken));
    expect(failed.status).toBe("failed");
    await eventually(async () => expect(await deliveries(account, id)).toHaveLength(2));
    expect(await settled(account, perRequestEndpoint(account.id), "succeeded")).toMatchObject({ subject: failed.id });
    expect(await named.calls()).toHaveLength(1);
  });

  it("that answers 410 is given up without harm to others", async () => {
    const account = await newAccount();
    const gone = await outside({ status: 410 });
    const id = perRequestEndpoint(account.id);
    await analyse(account, { webhook: JSON.stringify({ url: gone.url }) });
    await settled(account, id, "dead");
    expect(await read(account, id)).toMatchObject({ enabled: true, failing_since: null, dead_letters: 1 });
  });

  it.each([
    ["http://example.com/", "https"],
    ["https://10.0.0.1/", "public"],
    ["https://169.254.169.254/latest/", "public"],
    ["https://[fd00::1]/", "public"],
    ["https://intranet.local/", "public"],
    ["ftp://example.com/", "webhook.url"],
    ["https://me:secret@example.com/", "user name"],
  ])("at %s is refused before anything is accepted", async (url, words) => {
    const account = await newAccount();
    const fields = { webhook: JSON.stringify({ url }) };
    expect((await expectProblem(send(account, newImage(), { fields }), "invalid_request")).detail).toContain(words);
    const page = await (await request(account, "/v1/analyses")).json<{ data: unknown[] }>();
    expect(page.data).toEqual([]);
    await expectProblem(postJson(account, path, { url }), "invalid_request");
  });
});

describe("secrets", () => {
  it("are rotated: both sign until the old one expires", async () => {
    const account = await newAccount();
    const receiver = await outside({ status: 200 });
    const { id, secret: first } = await register(account, { url: receiver.url });
    const rotate = async (expire_old_in_s: number) => {
      const response = await postJson(account, `${path}/${id}/rotate-secret`, { expire_old_in_s });
      expect(response.status).toBe(200);
      return webhookSecret.parse(await response.json());
    };
    const { secret: second, previous_expires_at } = await rotate(3600);
    expect(second).not.toBe(first);
    expect(Date.parse(previous_expires_at ?? "")).toBeGreaterThan(Date.now() + 3_500_000);
    await test(account, id);
    const { secret: third, ...rest } = await rotate(0);
    expect(rest.previous_expires_at).toBeNull();
    await test(account, id);
    const [both, last] = await receiver.calls();
    if (!both || !last) throw new Error("unreachable");
    expect(both.headers["webhook-signature"]?.split(" ")).toHaveLength(2);
    for (const secret of [first, second]) new Webhook(secret).verify(both.body, both.headers);
    new Webhook(third).verify(last.body, last.headers);
    for (const secret of [first, second]) expect(() => new Webhook(secret).verify(last.body, last.headers)).toThrow();
  });

  it("are rotated once by a repeated request", async () => {
    const account = await newAccount();
    const { id } = await register(account, { url: "https://example.com/hook" });
    const once = { "idempotency-key": "rotation-1" };
    const first = await (await postJson(account, `${path}/${id}/rotate-secret`, {}, once)).json();
    const again = await (await postJson(account, `${path}/${id}/rotate-secret`, {}, once)).json();
    expect(again).toEqual(first);
  });
});

describe("Egress", () => {
  it("refuses a private address at the moment of delivery, and the message is dead at once", async () => {
    const account = await newAccount();
    const { id } = await register(account, { url: "https://example.com/hook" });
    await runInDurableObject(env.ENDPOINTS.getByName(id), (_, state) => {
      state.storage.sql.exec("UPDATE endpoint SET url = 'http://169.254.169.254/latest/meta-data/'");
    });
    const { status, attempts } = await test(account, id);
    expect(status).toBe("dead");
    expect(attempts).toMatchObject([{ status: null, error: expect.stringContaining("169.254.169.254") }]);
  });
});

describe("accounts", () => {
  it("never learn of each other's endpoints", async () => {
    const [owner, other] = [await newAccount(), await newAccount()];
    const { id } = await register(owner, { url: "https://example.com/hook" });
    const delivery = `deliveries/${id.replace("wh_", "ev_")}`;
    const calls: [string, string, unknown?][] = [
      ["GET", ""],
      ["PATCH", "", { enabled: false }],
      ["DELETE", ""],
      ["GET", "/secret"],
      ["POST", "/rotate-secret", {}],
      ["POST", "/test"],
      ["GET", "/deliveries"],
      ["GET", "/dead-letters"],
      ["POST", "/dead-letters/replay"],
      ["GET", `/${delivery}`],
      ["POST", `/${delivery}/redeliver`],
    ];
    const unknown = perRequestEndpoint((await newAccount()).id);
    for (const endpoint of [id, perRequestEndpoint(owner.id), unknown]) {
      for (const [method, room, body] of calls) {
        const init = { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
        const headers = body === undefined ? {} : { "content-type": "application/json" };
        const answer = await request(other, `${path}/${endpoint}${room}`, { ...init, headers });
        const { detail } = await expectProblem(answer, "not_found");
        expect(detail, `${method} ${room}`).toBe(`There is no webhook endpoint ${endpoint}.`);
      }
    }
    const list = webhookEndpointList.parse(await (await request(other, path)).json());
    expect(list.data.map((endpoint) => endpoint.id)).toEqual([perRequestEndpoint(other.id)]);
    expect(await read(owner, id)).toMatchObject({ enabled: true });
  });

  it("delete an endpoint with its log; nothing is told to it any more", async () => {
    const account = await newAccount();
    const receiver = await outside({ status: 200 });
    const { id } = await register(account, { url: receiver.url });
    await test(account, id);
    expect((await request(account, `${path}/${id}`, { method: "DELETE" })).status).toBe(204);
    await expectProblem(request(account, `${path}/${id}`), "not_found");
    await expectProblem(request(account, `${path}/${id}`, { method: "DELETE" }), "not_found");
    await analyse(account);
    expect(await receiver.calls()).toHaveLength(1);
    const left = await runInDurableObject(env.ENDPOINTS.getByName(id), (_, state) =>
      state.storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\'").toArray(),
    );
    expect(left).toEqual([]);
  });

  it("register an endpoint once under one Idempotency-Key, and no more than twenty", async () => {
    const account = await newAccount();
    const url = "https://example.com/hook";
    const once = { "idempotency-key": "endpoint-1" };
    const [first, again] = [await postJson(account, path, { url }, once), await postJson(account, path, { url }, once)];
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(await again.json()).toEqual(await first.json());
    await expectProblem(postJson(account, path, { url, description: "x" }, once), "idempotency_key_reused");
    for (let i = 1; i < 20; i++) await register(account, { url });
    await expectProblem(postJson(account, path, { url }), "limit_reached");
  });

  it("say which of their keys may manage endpoints, and send known fields only", async () => {
    const reader = await newAccount({ scopes: "read" });
    await expectProblem(postJson(reader, path, { url: "https://example.com/" }), "forbidden");
    await expectProblem(request(reader, `${path}/${perRequestEndpoint(reader.id)}/secret`), "forbidden");
    const account = await newAccount();
    const { errors } = await expectProblem(
      postJson(account, path, { url: "https://example.com/", event: [] }),
      "invalid_request",
    );
    expect(errors).toEqual([{ path: "json.event", message: "is not known here" }]);
    await expectProblem(
      patch(account, perRequestEndpoint(account.id), { url: "https://example.com/" }),
      "invalid_request",
    );
    await expectProblem(patch(account, perRequestEndpoint(account.id), {}), "invalid_request");
  });
});

it("a batch's completion is announced with the batch", async () => {
  const account = await newAccount();
  const receiver = await outside({ status: 200 });
  const { secret } = await register(account, { url: receiver.url, events: ["batch.completed"] });
  const image = await outside({ body: newImage(), headers: { "content-type": "image/png" } });
  const batch = { items: [{ image_url: image.url }], metadata: { case: "17" } };
  const { id } = await (await postJson(account, "/v1/batches", batch)).json<{ id: string }>();
  await eventually(async () => expect(await receiver.calls()).toHaveLength(1));
  const [call] = await receiver.calls();
  const message = batchEvent.parse(new Webhook(secret).verify(call?.body ?? "", call?.headers ?? {}));
  expect(message.data).toMatchObject({ id, status: "ended", metadata: { case: "17" }, counts: { succeeded: 1 } });
});

it("an analysis's message is the analysis as it is read", async () => {
  const account = await newAccount();
  const receiver = await outside({ status: 200 });
  await register(account, { url: receiver.url });
  const id = await analyse(account);
  await eventually(async () => expect(await receiver.calls()).toHaveLength(1));
  const [call] = await receiver.calls();
  const { files: sentFiles, ...sent } = analysis.parse(JSON.parse(call?.body ?? "").data);
  const { files, ...asRead } = await ended(account, id);
  expect(sent).toEqual(asRead);
  expect(Object.keys(sentFiles)).toEqual(Object.keys(files));
  expect(await analysisObject(id).read(account.id)).not.toBeNull();
});
