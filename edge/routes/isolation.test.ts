/**
 * Whatever belongs to another account is answered as if it did not exist, at every route: the cases are held against
 * the API's own description, so that a route without one fails here.
 */
import { env } from "cloudflare:workers";
import { createdApiKey } from "@omni-iml/shared/accounts";
import { beforeAll, describe, expect, it } from "vitest";
import { uploadKey } from "../storage/objects.ts";
import {
  expectProblem,
  newAccount,
  newImage,
  outside,
  postJson,
  request,
  resource,
  send,
  type TestAccount,
} from "../testing/client.ts";

/** What the owner has, by the name under which a case asks for it. */
type Thing = "analysis" | "erased" | "upload" | "batch" | "endpoint" | "delivery" | "key" | "account";

type Case =
  /** Answered as an unknown id is. `by` fills the path's parameters in order; `body` is one that would be accepted. */
  | { kind: "unknown"; by: Thing[]; body?: object }
  /** Shows or makes something of the caller's own account: nothing of the owner's is in the answer. */
  | { kind: "own"; body?: object }
  /** Names something of the owner's in its body, and is refused as for something that does not exist. */
  | { kind: "names"; body: (owned: Record<Thing, string>) => object }
  /** For operators only. */
  | { kind: "operator"; by: Thing[]; body?: object }
  /** Needs no key: a link is its own permission, and a session is the playground's. */
  | { kind: "public" };

const unknown = (by: Thing[], body?: object): Case => ({
  kind: "unknown",
  by,
  ...(body === undefined ? {} : { body }),
});
const own = (body?: object): Case => ({ kind: "own", ...(body === undefined ? {} : { body }) });
const operator = (by: Thing[], body?: object): Case => ({
  kind: "operator",
  by,
  ...(body === undefined ? {} : { body }),
});

const cases: Record<string, Case> = {
  "POST /v1/playground/session": { kind: "public" },
  "GET /v1/shared/{token}": { kind: "public" },
  "GET /v1/shared/{token}/input": { kind: "public" },
  "GET /v1/models": own(),
  "POST /v1/analyses": { kind: "names", body: ({ upload }) => ({ upload_id: upload }) },
  "GET /v1/analyses": own(),
  "GET /v1/analyses/{id}": unknown(["analysis"]),
  "DELETE /v1/analyses/{id}": unknown(["analysis"]),
  "POST /v1/analyses/{id}/cancel": unknown(["analysis"]),
  "POST /v1/analyses/{id}/feedback": unknown(["analysis"], { finding: "right" }),
  "GET /v1/analyses/{id}/erasure": unknown(["erased"]),
  "GET /v1/analyses/{id}/events": unknown(["analysis"]),
  "POST /v1/analyses/{id}/share": unknown(["analysis"]),
  "DELETE /v1/analyses/{id}/share": unknown(["analysis"]),
  "GET /v1/analyses/{id}/input": unknown(["analysis"]),
  "POST /v1/uploads": own({ bytes: 100, content_type: "image/png" }),
  "GET /v1/uploads/{id}": unknown(["upload"]),
  "DELETE /v1/uploads/{id}": unknown(["upload"]),
  "POST /v1/batches": own({ items: [{ image_url: "https://example.com/a.png" }] }),
  "GET /v1/batches/{id}": unknown(["batch"]),
  "DELETE /v1/batches/{id}": unknown(["batch"]),
  "GET /v1/batches/{id}/items": unknown(["batch"]),
  "POST /v1/batches/{id}/cancel": unknown(["batch"]),
  "POST /v1/webhook-endpoints": own({ url: "https://example.com/hook" }),
  "GET /v1/webhook-endpoints": own(),
  "GET /v1/webhook-endpoints/{id}": unknown(["endpoint"]),
  "PATCH /v1/webhook-endpoints/{id}": unknown(["endpoint"], { description: "mine now" }),
  "DELETE /v1/webhook-endpoints/{id}": unknown(["endpoint"]),
  "GET /v1/webhook-endpoints/{id}/secret": unknown(["endpoint"]),
  "POST /v1/webhook-endpoints/{id}/rotate-secret": unknown(["endpoint"], {}),
  "POST /v1/webhook-endpoints/{id}/test": unknown(["endpoint"]),
  "GET /v1/webhook-endpoints/{id}/deliveries": unknown(["endpoint"]),
  "GET /v1/webhook-endpoints/{id}/dead-letters": unknown(["endpoint"]),
  "POST /v1/webhook-endpoints/{id}/dead-letters/replay": unknown(["endpoint"]),
  "GET /v1/webhook-endpoints/{id}/deliveries/{delivery}": unknown(["endpoint", "delivery"]),
  "POST /v1/webhook-endpoints/{id}/deliveries/{delivery}/redeliver": unknown(["endpoint", "delivery"]),
  "GET /v1/usage": own(),
  "POST /v1/api-keys": own({ name: "another" }),
  "GET /v1/api-keys": own(),
  "GET /v1/api-keys/{id}": unknown(["key"]),
  "DELETE /v1/api-keys/{id}": unknown(["key"]),
  "POST /v1/api-keys/{id}/roll": unknown(["key"], {}),
  "POST /v1/accounts": operator([], { name: "mine" }),
  "GET /v1/accounts": operator([]),
  "GET /v1/accounts/{id}": operator(["account"]),
  "POST /v1/index/rebuild": operator([]),
  "PATCH /v1/accounts/{id}": operator(["account"], { monthly_quota: 1 }),
};

const secretOfTheOwner = "only-the-owner-knows-this";
let owner: TestAccount;
let other: TestAccount;
let owned: Record<Thing, string>;

async function idOf(response: Response | Promise<Response>): Promise<string> {
  return (await (await response).json<{ id: string }>()).id;
}

beforeAll(async () => {
  owner = await newAccount({ scopes: "read write admin" });
  other = await newAccount({ scopes: "read write admin" });
  const fields = { metadata: JSON.stringify({ note: secretOfTheOwner }) };
  const [analysis, erased] = [
    await resource(send(owner, newImage(), { fields })),
    await resource(send(owner, newImage(), { fields })),
  ];
  await request(owner, `/v1/analyses/${erased.id}`, { method: "DELETE" });
  const upload = await idOf(postJson(owner, "/v1/uploads", { bytes: 100, content_type: "image/png" }));
  await env.STORAGE.put(uploadKey(owner.id, upload), newImage());
  const { url } = await outside({ body: newImage() });
  const receiver = await outside({ status: 200 });
  const endpoint = await idOf(
    postJson(owner, "/v1/webhook-endpoints", { url: receiver.url, description: secretOfTheOwner }),
  );
  owned = {
    analysis: analysis.id,
    erased: erased.id,
    upload,
    batch: await idOf(postJson(owner, "/v1/batches", { items: [{ image_url: url }] })),
    endpoint,
    delivery: await idOf(request(owner, `/v1/webhook-endpoints/${endpoint}/test`, { method: "POST" })),
    key: createdApiKey.parse(await (await postJson(owner, "/v1/api-keys", { name: secretOfTheOwner })).json()).id,
    account: owner.id,
  };
});

/** Sends an operation as `account`, the path's parameters being `ids`. */
function ask(account: TestAccount | null, operation: string, ids: readonly string[], body?: object): Promise<Response> {
  const [method = "", template = ""] = operation.split(" ");
  const left = [...ids];
  const path = template.replaceAll(/\{[^}]+\}/g, () => left.shift() ?? "");
  return request(account, path, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
}

/** An id of the same kind that nobody has. */
const unknownLike = (id: string) => id.replace(/.{6}$/, "000000");

async function operations(): Promise<[string, { security: unknown }][]> {
  const document = await (await request(null, "/openapi.json")).json<{
    paths: Record<string, Record<string, { security: unknown }>>;
  }>();
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]): [string, { security: unknown }] => [
      `${method.toUpperCase()} ${path}`,
      operation,
    ]),
  );
}

describe("isolation between accounts", () => {
  it("has a case for every operation of the API, and no other", async () => {
    const described = (await operations()).map(([operation]) => operation);
    expect(Object.keys(cases).sort()).toEqual(described.sort());
  });

  it("asks for a key wherever the description says so", async () => {
    for (const [operation, { security }] of await operations()) {
      const open = JSON.stringify(security) === "[]";
      expect(cases[operation]?.kind === "public", operation).toBe(open);
      const body = operation.startsWith("GET ") ? undefined : {};
      if (!open) await expectProblem(ask(null, operation, [owned.analysis, owned.delivery], body), "unauthorized");
    }
  });

  it.each(Object.entries(cases).filter(([, { kind }]) => kind !== "public"))("%s", async (operation, expected) => {
    switch (expected.kind) {
      case "unknown": {
        const ids = expected.by.map((thing) => owned[thing]);
        const foreign = await expectProblem(ask(other, operation, ids, expected.body), "not_found");
        const nobodys = await expectProblem(ask(other, operation, ids.map(unknownLike), expected.body), "not_found");
        const words = (detail: string, of: readonly string[]) =>
          of.reduce((text, id) => text.replaceAll(id, "ID"), detail);
        expect(words(foreign.detail, ids)).toBe(words(nobodys.detail, ids.map(unknownLike)));
        return;
      }
      case "own": {
        const answer = await ask(other, operation, [], expected.body);
        expect(answer.ok, `${operation} is answered`).toBe(true);
        const text = await answer.text();
        for (const [thing, id] of Object.entries(owned)) expect(text, thing).not.toContain(id);
        expect(text).not.toContain(secretOfTheOwner);
        return;
      }
      case "names": {
        const foreign = await expectProblem(ask(other, operation, [], expected.body(owned)), "not_found");
        expect(foreign.detail).not.toContain(secretOfTheOwner);
        return;
      }
      case "operator": {
        const ids = expected.by.map((thing) => owned[thing]);
        await expectProblem(ask(other, operation, ids, expected.body), "forbidden");
        return;
      }
    }
  });

  it("a message of another's endpoint is in none of one's own", async () => {
    const receiver = await outside({ status: 200 });
    const mine = await idOf(postJson(other, "/v1/webhook-endpoints", { url: receiver.url }));
    for (const [operation, { kind }] of Object.entries(cases)) {
      if (kind !== "unknown" || !operation.includes("{delivery}")) continue;
      await expectProblem(ask(other, operation, [mine, owned.delivery]), "not_found");
    }
    expect(await receiver.calls()).toEqual([]);
  });

  it("an item of a batch that names another's upload is refused like one that does not exist", async () => {
    const path = "/v1/batches";
    const batch = await idOf(postJson(other, path, { items: [{ upload_id: owned.upload }] }));
    await expect
      .poll(async () => (await request(other, `${path}/${batch}/items`)).text(), { timeout: 30_000 })
      .toContain('"not_found"');
  });

  it("has changed nothing that is the owner's", async () => {
    expect(await resource(request(owner, `/v1/analyses/${owned.analysis}`))).toMatchObject({
      status: "succeeded",
      feedback: null,
      metadata: { note: secretOfTheOwner },
    });
    const kept = async (path: string) => (await request(owner, path)).json();
    expect(await kept(`/v1/uploads/${owned.upload}`)).toMatchObject({ analysis: null });
    expect(await kept(`/v1/webhook-endpoints/${owned.endpoint}`)).toMatchObject({ description: secretOfTheOwner });
    expect(await kept(`/v1/api-keys/${owned.key}`)).toMatchObject({ revoked_at: null });
    expect(await kept(`/v1/batches/${owned.batch}`)).not.toMatchObject({ status: "canceled" });
  });
});
