/** What became of the analyses of one fault, as a row of the table of `npm run test:faults`. */
import { analysis, analysisPage } from "@omni-iml/shared/analysis";
import { endEvent, statusEvent } from "@omni-iml/shared/events";
import { expect } from "vitest";
import { newAccount, newImage, outside, postJson, request, type TestAccount } from "../testing/client.ts";

/** Milliseconds that all analyses of a fault have to end and to be announced, on a busy machine. */
const patience = 120_000;
const together = 8;

export interface FaultyAccount extends TestAccount {
  receiver: Awaited<ReturnType<typeof outside>>;
  endpoint: string;
}

/** An account without limits that a test could run into, with a webhook endpoint. */
export async function faultyAccount(): Promise<FaultyAccount> {
  const account = await newAccount({ inFlight: 100_000, quota: 1_000_000, requestsPerMinute: 1_000_000 });
  const receiver = await outside({ status: 200 });
  const made = await postJson(account, "/v1/webhook-endpoints", { url: receiver.url });
  expect(made.status).toBe(201);
  return { ...account, receiver, endpoint: (await made.json<{ id: string }>()).id };
}

/** `count` times `work`, some at a time. */
export async function all<Value>(count: number, work: (number: number) => Promise<Value>): Promise<Value[]> {
  const results: Value[] = [];
  let next = 0;
  const worker = async () => {
    while (next < count) {
      const number = next++;
      results[number] = await work(number);
    }
  };
  await Promise.all(Array.from({ length: together }, worker));
  return results;
}

/** Sends an image under an Idempotency-Key until it is accepted; answers with the analysis's id. */
export async function submit(account: TestAccount, prefer: string): Promise<string> {
  const headers = { "content-type": "image/png", "idempotency-key": crypto.randomUUID(), prefer };
  const body = newImage();
  for (;;) {
    const answer = await request(account, "/v1/analyses", { method: "POST", body, headers });
    if (answer.ok) return analysis.parse(await answer.json()).id;
    // Whatever is broken, a customer is told to come back, and when.
    expect(await answer.text()).toContain('"retryable":true');
    expect(answer.status).toBeGreaterThanOrEqual(500);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/**
 * Waits for the ends of the analyses and checks each; prints the row, unless `fault` is null. `lifted`: when the fault
 * was over.
 */
export async function tally(fault: string | null, account: FaultyAccount, ids: readonly string[], lifted: number) {
  const complaints: string[] = [];
  let [lost, duplicated, recovery] = [0, 0, 0];
  await all(ids.length, async (number) => {
    const id = ids[number] ?? "";
    const text = await (await request(account, `/v1/analyses/${id}/events`)).text();
    const events = text.split("\n\n").map((block) => ({
      name: /^event: ?(.*)$/m.exec(block)?.[1],
      data: /^data: ?(.*)$/m.exec(block)?.[1] ?? "",
    }));
    const told = events.filter(({ name }) => name === "status").map(({ data }) => statusEvent.parse(JSON.parse(data)));
    const ends = told.filter(({ status }) => status !== "queued" && status !== "running");
    const end = events.find(({ name }) => name === endEvent);
    const resource = end === undefined ? null : analysis.parse(JSON.parse(end.data));
    if (resource?.status !== "succeeded" || ends.length === 0) {
      lost++;
      complaints.push(`${id}: ${resource?.status ?? "no end"} ${resource?.error?.detail ?? ""}`);
    }
    if (ends.length > 1) duplicated++;
    if (resource !== null && Date.parse(resource.created_at) <= lifted) {
      recovery = Math.max(recovery, Date.parse(resource.ended_at ?? "") - lifted);
    }
  });
  for (const until = Date.now() + patience; ; await new Promise((resolve) => setTimeout(resolve, 1_000))) {
    const [listed, announced] = [await listedEnds(account), await announcements(account)];
    const behind = ids.filter((id) => !listed.has(id) || !announced.has(id));
    if (behind.length > 0 && Date.now() < until) continue;
    lost += behind.length;
    duplicated += listed.size - ids.length + [...announced.values()].filter((names) => names.size > 1).length;
    complaints.push(...behind.map((id) => `${id}: listed ${listed.has(id)}, announced ${announced.has(id)}`));
    break;
  }
  if (fault !== null)
    print({ fault, jobs: ids.length, succeeded: ids.length - lost, failed: 0, lost, duplicated, recovery });
  expect(complaints).toEqual([]);
  expect(duplicated).toBe(0);
}

export function print(row: Record<string, string | number | null>): void {
  console.log(`fault-row ${JSON.stringify(row)}`);
}

/** The analyses whose end the list knows. */
async function listedEnds(account: TestAccount): Promise<Set<string>> {
  const ended = new Set<string>();
  for (let cursor: string | null = ""; cursor !== null; ) {
    const answer = await request(account, `/v1/analyses?limit=100${cursor === "" ? "" : `&cursor=${cursor}`}`);
    const page = analysisPage.parse(await answer.json());
    for (const { id, status } of page.data) if (status !== "queued" && status !== "running") ended.add(id);
    cursor = page.next_cursor;
  }
  return ended;
}

/** By analysis: the ids under which the receiver was told of its end. */
async function announcements({ receiver }: FaultyAccount): Promise<Map<string, Set<string>>> {
  const told = new Map<string, Set<string>>();
  for (const { headers, body } of await receiver.calls()) {
    const { data }: { data: { id: string } } = JSON.parse(body);
    const names = told.get(data.id) ?? new Set<string>();
    told.set(data.id, names.add(headers["webhook-id"] ?? ""));
  }
  return told;
}
