import { env } from "cloudflare:workers";
import { newId } from "@omni-iml/shared/ids";
import { indexRebuild } from "@omni-iml/shared/index-rebuild";
import { expect, it } from "vitest";
import { recordKey } from "../storage/objects.ts";
import {
  eventually,
  expectProblem,
  newAccount,
  newImage,
  request,
  resource,
  send,
  type TestAccount,
} from "../testing/client.ts";
import { listAnalyses, updateIndex } from "./index-table.ts";

const listed = (account: TestAccount) => listAnalyses(env.DATABASE, account.id, { limit: 100 });

/** All steps of one rebuild, of so many records each. */
async function rebuild(operator: TestAccount, limit: number) {
  const steps = [];
  let cursor: string | null = null;
  do {
    const query: string = `limit=${limit}${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`;
    const response = await request(operator, `/v1/index/rebuild?${query}`, { method: "POST" });
    expect(response.status).toBe(200);
    const step = indexRebuild.parse(await response.json());
    steps.push(step);
    cursor = step.next_cursor;
  } while (cursor !== null);
  return steps;
}

const copied = (account: TestAccount, id: string) =>
  eventually(async () => {
    const copy = await env.STORAGE.get(recordKey(account.id, id));
    expect(await copy?.text()).toContain('"succeeded"');
  });

it("makes the list of analyses anew after the database has lost it", async () => {
  const operator = await newAccount({ operator: true, scopes: "read write admin" });
  const account = await newAccount();
  const ids: string[] = [];
  for (let n = 0; n < 3; n++) ids.push((await resource(send(account, newImage()))).id);
  const [deleted = ""] = ids;
  await request(account, `/v1/analyses/${deleted}`, { method: "DELETE" });
  for (const id of ids.slice(1)) await copied(account, id);
  await eventually(async () => expect((await listed(account)).data).toHaveLength(2));
  const before = await listed(account);
  await env.DATABASE.prepare("DELETE FROM analyses WHERE account_id = ?").bind(account.id).run();
  expect((await listed(account)).data).toEqual([]);
  const steps = await rebuild(operator, 1);
  expect(steps.length).toBeGreaterThan(1);
  // With every field, in order, and without what was deleted.
  expect(await listed(account)).toEqual(before);
});

it("leaves alone what the index knows better, and goes on after a record that is damaged", async () => {
  const operator = await newAccount({ operator: true, scopes: "read write admin" });
  const account = await newAccount();
  const { id, created_at } = await resource(send(account, newImage()));
  await copied(account, id);
  const newer = {
    id,
    account: account.id,
    sequence: 1_000,
    status: "expired",
    createdAt: Date.parse(created_at),
    endedAt: null,
    expiresAt: null,
    cached: false,
    verdict: null,
    score: null,
  };
  await eventually(async () => expect((await listed(account)).data).toHaveLength(1));
  await updateIndex(env.DATABASE, newer);
  const damaged = recordKey(account.id, newId("analysis"));
  await env.STORAGE.put(damaged, "{");
  const steps = await rebuild(operator, 100);
  await env.STORAGE.delete(damaged);
  expect(steps.flatMap(({ unreadable }) => unreadable)).toEqual([damaged]);
  expect((await listed(account)).data).toEqual([]);
});

it("reads the copies that the first version wrote, without a sequence", async () => {
  const operator = await newAccount({ operator: true, scopes: "read write admin" });
  const account = await newAccount();
  const { id } = await resource(send(account, newImage()));
  await copied(account, id);
  await eventually(async () => expect((await listed(account)).data).toHaveLength(1));
  const copy: object = await env.STORAGE.get(recordKey(account.id, id)).then((stored) => stored?.json() ?? {});
  await env.STORAGE.put(recordKey(account.id, id), JSON.stringify({ ...copy, sequence: undefined }));
  await env.DATABASE.prepare("DELETE FROM analyses WHERE id = ?").bind(id).run();
  await rebuild(operator, 100);
  expect((await listed(account)).data).toMatchObject([{ id, status: "succeeded" }]);
});

it("ends with any cursor, and reads nothing but records", async () => {
  const operator = await newAccount({ operator: true, scopes: "read write admin" });
  const others = ["inputs/not-a-record", "uploads/not-a-record"];
  for (const key of others) await env.STORAGE.put(key, "{");
  const elsewhere = ["inputs/", "records/../inputs/", "uploads/"].map((key) => btoa(key));
  for (const cursor of [...elsewhere, "rubbish", "\0", "ÿ", "null", btoa("{"), btoa("null"), "A".repeat(2_000)]) {
    const path = `/v1/index/rebuild?cursor=${encodeURIComponent(cursor)}`;
    const response = await request(operator, path, { method: "POST" });
    expect(response.status, cursor).toBe(200);
    const { unreadable } = indexRebuild.parse(await response.json());
    expect(unreadable.filter((key) => !key.startsWith("records/"))).toEqual([]);
  }
  await expectProblem(
    request(operator, `/v1/index/rebuild?cursor=${"A".repeat(2_001)}`, { method: "POST" }),
    "invalid_request",
  );
  await env.STORAGE.delete(others);
});

it("is for operators only", async () => {
  const admin = await newAccount({ scopes: "read write admin" });
  await expectProblem(request(admin, "/v1/index/rebuild", { method: "POST" }), "forbidden");
});
