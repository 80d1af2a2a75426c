import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import {
  type ApiKey,
  account as accountSchema,
  apiKey,
  apiKeyList,
  createdAccount,
  createdApiKey,
  usage as usageSchema,
} from "@omni-iml/shared/accounts";
import { newId } from "@omni-iml/shared/ids";
import { describe, expect, it } from "vitest";
import { hashSecret, parseApiKey } from "../accounts/api-key.ts";
import {
  ended,
  eventually,
  expectProblem,
  newAccount,
  newImage,
  postJson,
  problem,
  request,
  resource,
  runnerFor,
  send,
  storedKeys,
  type TestAccount,
} from "../testing/client.ts";

const keys = "/v1/api-keys";
const admin = { scopes: "read write admin" };

async function createKey(account: TestAccount, body: object) {
  const response = await postJson(account, keys, body);
  expect(response.status).toBe(201);
  const { key, ...created } = createdApiKey.parse(await response.json());
  if (key === null) throw new Error("a first answer shows the key");
  return { ...created, key };
}

async function listKeys(account: TestAccount): Promise<ApiKey[]> {
  return apiKeyList.parse(await (await request(account, keys)).json()).data;
}

const as = (account: TestAccount, key: string): TestAccount => ({ ...account, key });
const works = async (account: TestAccount) => (await request(account, "/v1/models")).status === 200;

describe("API keys", () => {
  it("are created with scopes and an end, shown once, and stored as a hash", async () => {
    const account = await newAccount(admin);
    const created = await createKey(account, { name: "reporting", scopes: ["read"], expires_in_s: 3600 });
    expect(created).toMatchObject({ name: "reporting", scopes: ["read"], last_used_at: null, revoked_at: null });
    expect(created.key.startsWith(`${created.prefix}_`)).toBe(true);
    expect(Date.parse(created.expires_at ?? "") - Date.parse(created.created_at)).toBe(3_600_000);
    const reader = as(account, created.key);
    expect(await works(reader)).toBe(true);
    await expectProblem(send(reader, newImage()), "forbidden");
    await expectProblem(request(reader, keys), "forbidden");
    await eventually(async () => expect((await listKeys(account))[0]?.last_used_at).not.toBeNull());
    const row = await env.DATABASE.prepare("SELECT * FROM api_keys WHERE id = ?").bind(created.id).first();
    const secret = parseApiKey(created.key)?.secret ?? "";
    expect(JSON.stringify(row)).not.toContain(secret);
    expect(row?.["secret_sha256"]).toBe(await hashSecret(secret));
    expect(JSON.stringify(await listKeys(account))).not.toContain(secret);
  });

  it("stop working when they expire", async () => {
    const account = await newAccount(admin);
    const created = await createKey(account, { name: "short" });
    expect(created).toMatchObject({ scopes: ["read", "write"], expires_at: null });
    await env.DATABASE.prepare("UPDATE api_keys SET expires_at = ? WHERE id = ?").bind(Date.now(), created.id).run();
    await expectProblem(request(as(account, created.key), "/v1/models"), "unauthorized");
  });

  it("are rolled: the new one can do the same, the old one goes on for as long as was asked", async () => {
    const account = await newAccount(admin);
    const old = await createKey(account, { name: "server", scopes: ["write"] });
    const roll = async (id: string, body?: object) => {
      const init = body === undefined ? { method: "POST" } : undefined;
      const path = `${keys}/${id}/roll`;
      const response = await (init ? request(account, path, init) : postJson(account, path, body));
      return createdApiKey.parse(await response.json());
    };
    const second = await roll(old.id, { expire_old_in_s: 600 });
    expect(second).toMatchObject({ name: "server", scopes: ["write"], expires_at: null });
    const listed = (await listKeys(account)).find(({ id }) => id === old.id);
    expect(Date.parse(listed?.expires_at ?? "") - Date.now()).toBeGreaterThan(590_000);
    const third = await roll(second.id);
    await expectProblem(request(as(account, second.key ?? ""), "/v1/models"), "unauthorized");
    expect((await send(as(account, old.key), newImage())).status).toBe(201);
    expect((await send(as(account, third.key ?? ""), newImage())).status).toBe(201);
    await expectProblem(postJson(account, `${keys}/${second.id}/roll`, {}), "gone");
  });

  it("are revoked for good, but never the last one that can manage keys", async () => {
    const account = await newAccount(admin);
    const created = await createKey(account, { name: "leaked", scopes: ["read", "admin"] });
    const own = (await listKeys(account)).find(({ id }) => id !== created.id)?.id ?? "";
    const revoked = await request(account, `${keys}/${created.id}`, { method: "DELETE" });
    expect(apiKey.parse(await revoked.json()).revoked_at).not.toBeNull();
    await expectProblem(request(as(account, created.key), "/v1/models"), "unauthorized");
    await expectProblem(request(account, `${keys}/${own}`, { method: "DELETE" }), "last_admin_key");
    expect(await works(account)).toBe(true);
    const next = await createKey(account, { name: "next", scopes: ["admin"] });
    expect((await request(as(account, next.key), `${keys}/${own}`, { method: "DELETE" })).status).toBe(200);
    expect(await works(account)).toBe(false);
  });

  it("are created once under one Idempotency-Key; a repeated answer does not show the key again", async () => {
    const account = await newAccount(admin);
    const once = { "idempotency-key": "key-1" };
    const first = createdApiKey.parse(await (await postJson(account, keys, { name: "a" }, once)).json());
    const again = createdApiKey.parse(await (await postJson(account, keys, { name: "a" }, once)).json());
    expect(again).toEqual({ ...first, key: null });
    await expectProblem(postJson(account, keys, { name: "b" }, once), "idempotency_key_reused");
    expect(await listKeys(account)).toHaveLength(2);
  });

  it("are refused in words where the request does not fit", async () => {
    const account = await newAccount(admin);
    const refused = async (body: object) =>
      (await expectProblem(postJson(account, keys, body), "invalid_request")).errors;
    expect(await refused({ name: "a", scope: ["read"] })).toEqual([
      { path: "json.scope", message: "is not known here" },
    ]);
    expect((await refused({ name: "a", scopes: ["root"] }))?.[0]?.path).toBe("json.scopes.0");
    expect((await refused({ name: "a", scopes: ["read", "read"] }))?.[0]?.path).toBe("json.scopes");
    expect((await refused({ name: " " }))?.[0]?.path).toBe("json.name");
    expect((await refused({ name: "a", expires_in_s: 1 }))?.[0]?.path).toBe("json.expires_in_s");
    await env.DATABASE.batch(
      Array.from({ length: 99 }, (_, i) =>
        env.DATABASE.prepare(
          "INSERT INTO api_keys (id, account_id, lookup, secret_sha256, name, scopes, created_at) VALUES (?, ?, ?, '', '', 'read', 0)",
        ).bind(`ak_${account.id}_${i}`, account.id, `${account.id}_${i}`),
      ),
    );
    await expectProblem(postJson(account, keys, { name: "one too many" }), "limit_reached");
  });
});

describe("accounts", () => {
  const path = "/v1/accounts";

  async function patch(operator: TestAccount, id: string, change: object) {
    const headers = { "content-type": "application/json" };
    return request(operator, `${path}/${id}`, { method: "PATCH", body: JSON.stringify(change), headers });
  }

  it("are created by an operator with a first key and limits, changed and disabled", async () => {
    const operator = await newAccount({ ...admin, operator: true });
    const response = await postJson(operator, path, { name: "Newsroom", monthly_quota: 1 });
    expect(response.status).toBe(201);
    const { api_key, ...created } = createdAccount.parse(await response.json());
    expect(created).toMatchObject({ name: "Newsroom", monthly_quota: 1, requests_per_minute: 600, disabled_at: null });
    expect(api_key.scopes).toEqual(["read", "write", "admin"]);
    const customer = { id: created.id, key: api_key.key ?? "" };
    expect((await send(customer, newImage())).status).toBe(201);
    await expectProblem(send(customer, newImage()), "quota_exceeded");
    expect((await patch(operator, created.id, { monthly_quota: 2 })).status).toBe(200);
    expect((await send(customer, newImage())).status).toBe(201);
    const disabled = accountSchema.parse(await (await patch(operator, created.id, { disabled: true })).json());
    expect(disabled).toMatchObject({ name: "Newsroom", monthly_quota: 2 });
    expect(disabled.disabled_at).not.toBeNull();
    await expectProblem(request(customer, "/v1/models"), "unauthorized");
    await patch(operator, created.id, { disabled: false, name: "Newsroom 2" });
    expect(await works(customer)).toBe(true);
    const read = accountSchema.parse(await (await request(operator, `${path}/${created.id}`)).json());
    expect(read).toMatchObject({ name: "Newsroom 2", disabled_at: null });
    await expectProblem(patch(operator, created.id, {}), "invalid_request");
    await expectProblem(patch(operator, newId("account"), { disabled: true }), "not_found");
  });

  it("are no business of a customer's, whatever the scope", async () => {
    const customer = await newAccount(admin);
    for (const answer of [
      request(customer, path),
      request(customer, `${path}/${customer.id}`),
      postJson(customer, path, { name: "mine" }),
      patch(customer, customer.id, { monthly_quota: 1_000_000 }),
    ]) {
      expect((await expectProblem(answer, "forbidden")).detail).toContain("operator");
    }
    const reader = await newAccount({ scopes: "read write", operator: true });
    await expectProblem(request(reader, path), "forbidden");
  });

  it("are listed in pages", async () => {
    const operator = await newAccount({ ...admin, operator: true });
    await newAccount();
    const page = async (query: string) =>
      (await request(operator, `${path}?${query}`)).json<{ data: { id: string }[]; next_cursor: string | null }>();
    const first = await page("limit=1");
    const second = await page(`limit=1&cursor=${first.next_cursor}`);
    expect([first.data.length, second.data.length]).toEqual([1, 1]);
    expect((second.data[0]?.id ?? "") > (first.data[0]?.id ?? "")).toBe(true);
  });

  it("never learn of each other's keys", async () => {
    const [owner, other] = [await newAccount(admin), await newAccount(admin)];
    const { id } = await createKey(owner, { name: "mine" });
    for (const [method, room] of [
      ["GET", ""],
      ["DELETE", ""],
      ["POST", "/roll"],
    ] as const) {
      await expectProblem(request(other, `${keys}/${id}${room}`, { method }), "not_found");
    }
    expect((await listKeys(other)).map((key) => key.id)).not.toContain(id);
    expect((await listKeys(owner)).find((key) => key.id === id)?.revoked_at).toBeNull();
  });

  it("never learn of each other's analyses, not even by sending the same bytes", async () => {
    const [owner, other] = [await newAccount(), await newAccount()];
    const image = newImage();
    const runner = await runnerFor(image);
    const mine = await resource(send(owner, image));
    const theirs = await resource(send(other, image));
    expect(theirs.cached).toBe(false);
    expect(await runner.calls()).toHaveLength(2);
    const unknown = mine.id.replace(/.{4}$/, "0000");
    for (const [method, room] of [
      ["GET", ""],
      ["GET", "/events"],
      ["GET", "/erasure"],
      ["POST", "/cancel"],
      ["DELETE", ""],
    ] as const) {
      const words = await Promise.all(
        [mine.id, unknown].map(async (id) => {
          const answer = await request(other, `/v1/analyses/${id}${room}`, { method });
          return (await expectProblem(answer, "not_found")).detail.replace(id, "");
        }),
      );
      expect(words[0], `${method} ${room}`).toBe(words[1]);
    }
    expect(await ended(owner, mine.id)).toMatchObject({ status: "succeeded" });
    const page = await (await request(other, "/v1/analyses")).json<{ data: { id: string }[] }>();
    expect(page.data.map(({ id }) => id)).not.toContain(mine.id);
  });

  it("deleting one analysis leaves another one of the same bytes whole", async () => {
    const account = await newAccount();
    const image = newImage();
    const [first, second] = [await resource(send(account, image)), await resource(send(account, image))];
    expect(second.cached).toBe(true);
    const key = new URL(second.files.mask?.url ?? "").pathname.split("/").slice(2).join("/");
    await env.STORAGE.put(key, "mask");
    await request(account, `/v1/analyses/${first.id}`, { method: "DELETE" });
    const left = await ended(account, second.id);
    expect(left).toMatchObject({
      status: "succeeded",
      score: second.score,
      files: { mask: { sha256: second.files.mask?.sha256 } },
    });
    expect(await storedKeys(key)).toEqual([key]);
  });
});

describe("usage", () => {
  const read = async (account: TestAccount, query = "") =>
    usageSchema.parse(await (await request(account, `/v1/usage${query}`)).json());

  it("is counted by day: what was accepted, and how it ended; what was refused is not in it", async () => {
    const account = await newAccount({ quota: 10 });
    const image = newImage(500);
    await send(account, image);
    await send(account, image);
    const broken = newImage(300);
    await runnerFor(broken, { kind: "refuse", problem: problem("image_corrupt") });
    await send(account, broken);
    await expectProblem(send(account, "text"), "unsupported_media_type");
    const today = new Date().toISOString().slice(0, 10);
    await eventually(async () => {
      const { days, month, in_flight } = await read(account);
      expect(days).toEqual([
        { date: today, analyses: 3, succeeded: 2, failed: 1, canceled: 0, cached: 1, bytes: 1300 },
      ]);
      expect(month).toMatchObject({ month: today.slice(0, 7), quota: 10, used: 3, remaining: 7 });
      expect(in_flight).toEqual({ limit: 100, used: 0 });
    });
  });

  it("is told of the days that are asked for", async () => {
    const account = await newAccount();
    await runInDurableObject(env.ACCOUNTS.getByName(account.id), (_, state) => {
      for (const date of ["2026-01-31", "2026-02-01", "2026-02-28", "2026-03-01"]) {
        state.storage.sql.exec("INSERT INTO days (date, analyses) VALUES (?, 1)", date);
      }
    });
    const { days } = await read(account, "?from=2026-02-01&to=2026-02-28");
    expect(days.map(({ date }) => date)).toEqual(["2026-02-01", "2026-02-28"]);
    for (const query of [
      "?from=2026-02-02&to=2026-02-01",
      "?from=2024-01-01&to=2026-01-01",
      "?from=yesterday",
      "?day=1",
    ]) {
      await expectProblem(request(account, `/v1/usage${query}`), "invalid_request");
    }
  });

  it("is left in the RateLimit headers", async () => {
    const account = await newAccount({ quota: 5 });
    await send(account, newImage());
    const { headers } = await request(account, "/v1/models");
    expect(headers.get("ratelimit-policy")).toBe('"requests";q=6000;w=60, "analyses";q=5;w=2592000');
    expect(headers.get("ratelimit")).toMatch(/^"requests";r=\d+;t=\d+, "analyses";r=4;t=\d+$/);
    const reset = Number(/t=(\d+)$/.exec(headers.get("ratelimit") ?? "")?.[1]);
    const next = new Date();
    next.setUTCMonth(next.getUTCMonth() + 1, 1);
    next.setUTCHours(0, 0, 0, 0);
    expect(Math.abs(reset - (next.getTime() - Date.now()) / 1000)).toBeLessThan(30);
  });
});
