import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { type Batch, batchItemPage, batch as batchSchema } from "@omni-iml/shared/batches";
import { describe, expect, it } from "vitest";
import { uploadKey } from "../storage/objects.ts";
import {
  eventually,
  expectProblem,
  newAccount,
  newImage,
  outside,
  postJson,
  request,
  resource,
  runnerFor,
  storedKeys,
  type TestAccount,
} from "../testing/client.ts";

async function start(account: TestAccount, sent: object): Promise<Batch> {
  const response = await postJson(account, "/v1/batches", sent);
  expect(response.status).toBe(202);
  const batch = batchSchema.parse(await response.json());
  expect(response.headers.get("location")).toBe(`/v1/batches/${batch.id}`);
  return batch;
}
const read = async (account: TestAccount, id: string) =>
  batchSchema.parse(await (await request(account, `/v1/batches/${id}`)).json());
const itemsOf = async (account: TestAccount, id: string) =>
  batchItemPage.parse(await (await request(account, `/v1/batches/${id}/items`)).json()).data;

async function end(account: TestAccount, id: string): Promise<Batch> {
  await eventually(async () => expect((await read(account, id)).status).toBe("ended"), 30_000);
  return read(account, id);
}

const image = async () => (await outside({ body: newImage() })).url;

describe("a batch", () => {
  it("becomes an analysis an item, from addresses and uploads, each with its own options", async () => {
    const account = await newAccount();
    const response = await postJson(account, "/v1/uploads", { bytes: 100, content_type: "image/png" });
    const { id: upload_id } = await response.json<{ id: string }>();
    await env.STORAGE.put(uploadKey(account.id, upload_id), newImage());
    const batch = await start(account, {
      items: [
        { image_url: await image() },
        { upload_id, options: { outputs: ["report"] }, metadata: { page: "2" } },
        { image_url: await image(), metadata: { page: "3" } },
      ],
      options: { outputs: ["mask"], retention_s: 600 },
      metadata: { job: "nightly" },
    });
    expect(batch).toMatchObject({ status: "running", metadata: { job: "nightly" }, counts: { total: 3 } });
    const ended = await end(account, batch.id);
    expect(ended.counts).toMatchObject({ succeeded: 3, pending: 0, running: 0, failed: 0, refused: 0 });
    const items = await itemsOf(account, batch.id);
    expect(items.map(({ index, status, error }) => [index, status, error])).toEqual([
      [0, "succeeded", null],
      [1, "succeeded", null],
      [2, "succeeded", null],
    ]);
    const analyses = await Promise.all(
      items.map(({ analysis }) => resource(request(account, `/v1/analyses/${analysis}`))),
    );
    expect(analyses.map(({ options, metadata }) => [options.outputs, options.priority, metadata])).toEqual([
      [["mask"], "batch", {}],
      [["report"], "batch", { page: "2" }],
      [["mask"], "batch", { page: "3" }],
    ]);
  });

  it("says when to ask again until it has ended", async () => {
    const account = await newAccount();
    const created = await postJson(account, "/v1/batches", { items: [{ image_url: await image() }] });
    expect([created.status, created.headers.get("retry-after")]).toEqual([202, "5"]);
    const { id } = await created.json<{ id: string }>();
    await end(account, id);
    expect((await request(account, `/v1/batches/${id}`)).headers.get("retry-after")).toBeNull();
  });

  it("goes on without the items that cannot become analyses, and says why", async () => {
    const account = await newAccount();
    const bad = newImage();
    await runnerFor(bad, { kind: "crash" }, { kind: "crash" }, { kind: "crash" });
    const batch = await start(account, {
      items: [
        { image_url: "http://10.0.0.1/a.jpg" },
        { upload_id: "up_00000000000000000000000000" },
        { image_url: (await outside({ body: new TextEncoder().encode("hello") })).url },
        { image_url: (await outside({ body: bad })).url },
        { image_url: await image() },
      ],
    });
    expect((await end(account, batch.id)).counts).toMatchObject({ total: 5, refused: 3, failed: 1, succeeded: 1 });
    const items = await itemsOf(account, batch.id);
    expect(items.map(({ status, error }) => error?.code ?? status)).toEqual([
      "image_url_refused",
      "not_found",
      "unsupported_media_type",
      "failed",
      "succeeded",
    ]);
    expect(items.map(({ analysis }) => analysis !== null)).toEqual([false, false, false, true, true]);
  });

  it("tries an address again that fails for the moment", async () => {
    const account = await newAccount();
    const failing = await outside({ status: 503 });
    const batch = await start(account, { items: [{ image_url: failing.url }] });
    await eventually(async () => expect((await failing.calls()).length).toBe(1));
    await failing.change({ body: newImage() });
    expect((await end(account, batch.id)).counts).toMatchObject({ succeeded: 1 });
    expect((await failing.calls()).length).toBe(2);
  });

  it("waits where its account has too much under way, and stops at the quota", async () => {
    const account = await newAccount({ inFlight: 1, quota: 3 });
    const batch = await start(account, {
      items: await Promise.all([1, 2, 3, 4].map(async () => ({ image_url: await image() }))),
    });
    expect((await end(account, batch.id)).counts).toMatchObject({ succeeded: 3, refused: 1 });
    expect((await itemsOf(account, batch.id)).find(({ status }) => status === "refused")?.error?.code).toBe(
      "quota_exceeded",
    );
  });

  it("goes on where its object was lost, without making an analysis twice", async () => {
    const account = await newAccount();
    const urls = await Promise.all([image(), image()]);
    const batch = await start(account, { items: urls.map((image_url) => ({ image_url })) });
    await end(account, batch.id);
    // As if it had died after the analyses were made and before it noted so.
    const object = env.BATCHES.getByName(batch.id);
    const before = (await itemsOf(account, batch.id)).map(({ analysis }) => analysis);
    await runInDurableObject(object, async (batchObject, state) => {
      state.storage.sql.exec("UPDATE items SET status = 'pending', analysis = NULL");
      state.storage.sql.exec("UPDATE batch SET ended_at = NULL");
      state.storage.sql.exec("INSERT OR REPLACE INTO timers (kind, due, tries) VALUES ('expand', 0, 0)");
      await batchObject.alarm();
    });
    await eventually(async () => {
      expect((await itemsOf(account, batch.id)).map(({ analysis }) => analysis)).toEqual(before);
    });
    const { n } = (await env.DATABASE.prepare("SELECT COUNT(*) AS n FROM analyses WHERE account_id = ?")
      .bind(account.id)
      .first<{ n: number }>()) ?? { n: -1 };
    expect(n).toBe(2);
  });

  it("is canceled: what has not begun never does, what is under way ends", async () => {
    const account = await newAccount();
    const held = await Promise.all(
      Array.from({ length: 6 }, async () => {
        const bytes = newImage();
        await runnerFor(bytes, { kind: "hold" });
        return { image_url: (await outside({ body: bytes })).url };
      }),
    );
    const batch = await start(account, { items: held });
    await eventually(async () => expect((await read(account, batch.id)).counts.running).toBeGreaterThan(0));
    const response = await request(account, `/v1/batches/${batch.id}/cancel`, { method: "POST" });
    expect(response.status).toBe(200);
    const ended = await end(account, batch.id);
    expect(ended.counts).toMatchObject({ total: 6, canceled: 6 });
    expect(ended.canceled_at).not.toBeNull();
  });

  it("is erased with all that it became", async () => {
    const account = await newAccount();
    const batch = await start(account, {
      items: await Promise.all([1, 2, 3].map(async () => ({ image_url: await image(), metadata: { name: "secret" } }))),
    });
    await end(account, batch.id);
    const analyses = (await itemsOf(account, batch.id)).map(({ analysis }) => analysis);
    expect((await request(account, `/v1/batches/${batch.id}`, { method: "DELETE" })).status).toBe(204);
    for (const id of analyses) await expectProblem(request(account, `/v1/analyses/${id}`), "gone");
    expect(await storedKeys(`inputs/${account.id}/`)).toEqual([]);
    await expectProblem(request(account, `/v1/batches/${batch.id}`), "gone");
    const left = await runInDurableObject(env.BATCHES.getByName(batch.id), (_, state) =>
      JSON.stringify([
        state.storage.sql.exec("SELECT * FROM items").toArray(),
        state.storage.sql.exec("SELECT metadata, webhook FROM batch").toArray(),
      ]),
    );
    expect(left).toBe('[[],[{"metadata":"{}","webhook":null}]]');
  });

  it("is made once under one Idempotency-Key", async () => {
    const account = await newAccount();
    const sent = { items: [{ image_url: await image() }] };
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => postJson(account, "/v1/batches", sent, { "idempotency-key": "k" })),
    );
    const ids = await Promise.all(answers.map(async (answer) => (await answer.json<{ id: string }>()).id));
    expect(new Set(ids).size).toBe(1);
    const other = { items: [{ image_url: await image() }] };
    await expectProblem(postJson(account, "/v1/batches", other, { "idempotency-key": "k" }), "idempotency_key_reused");
  });

  it("pages through a thousand items", async () => {
    const account = await newAccount({ quota: 0 });
    const items = Array.from({ length: 1000 }, (_, i) => ({ image_url: `https://example.com/${i}.jpg` }));
    const batch = await start(account, { items });
    await expectProblem(postJson(account, "/v1/batches", { items: [...items, items[0]] }), "invalid_request");
    const seen: number[] = [];
    let next: string | null = `/v1/batches/${batch.id}/items?limit=400`;
    while (next !== null) {
      const response: Response = await request(account, next);
      seen.push(...batchItemPage.parse(await response.json()).data.map(({ index }) => index));
      next = /^<([^>]+)>; rel="next"$/.exec(response.headers.get("link") ?? "")?.[1] ?? null;
    }
    expect(seen).toEqual(items.map((_, i) => i));
    await request(account, `/v1/batches/${batch.id}`, { method: "DELETE" });
  });

  it("is refused by the names of the fields that do not fit, and is the account's own", async () => {
    const account = await newAccount();
    const items = [{ image_url: "https://example.com/a.jpg" }, { image_url: "https://example.com/b.jpg", size: 1 }];
    const document = await expectProblem(postJson(account, "/v1/batches", { items }), "invalid_request");
    expect(document.errors).toEqual([{ path: "json.items.1.size", message: "is not known here" }]);
    await expectProblem(postJson(account, "/v1/batches", { items: [] }), "invalid_request");
    const { id } = await start(account, { items: [{ image_url: await image() }] });
    const other = await newAccount();
    for (const [path, method] of [
      ["", "GET"],
      ["/items", "GET"],
      ["/cancel", "POST"],
      ["", "DELETE"],
    ] as const) {
      await expectProblem(request(other, `/v1/batches/${id}${path}`, { method }), "not_found");
    }
  });
});
