/** What the tests of this folder do over and over: an account with a key, an image, a request, a look into an object. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { type Analysis, analysis } from "@omni-iml/shared/analysis";
import { newId } from "@omni-iml/shared/ids";
import { type InferRequest, inferRequest } from "@omni-iml/shared/inference";
import { Problem, type ProblemCode, type ProblemDocument, problemDocument } from "@omni-iml/shared/problems";
import { expect, inject } from "vitest";
import { newApiKey } from "../accounts/api-key.ts";
import type { AnalysisTimer } from "../analysis/ledger.ts";
import { sha256Hex } from "../storage/digest.ts";
import type { OutsideAnswer } from "./outside-script.ts";
import type { RunnerStep } from "./runner-script.ts";

export interface TestAccount {
  id: string;
  key: string;
}

/** A new account with a key. */
export async function newAccount(
  more: {
    scopes?: string;
    requestsPerMinute?: number;
    inFlight?: number;
    quota?: number;
    expiresAt?: number;
    operator?: boolean;
  } = {},
): Promise<TestAccount> {
  const id = newId("account");
  const { key, lookup, secretSha256 } = await newApiKey();
  await env.DATABASE.batch([
    env.DATABASE.prepare(
      `INSERT INTO accounts (id, name, created_at, requests_per_minute, in_flight_limit, monthly_quota, operator)
       VALUES (?, 'test', 0, ?, ?, ?, ?)`,
    ).bind(id, more.requestsPerMinute ?? 6000, more.inFlight ?? 100, more.quota ?? 1000, more.operator ? 1 : 0),
    env.DATABASE.prepare(
      `INSERT INTO api_keys (id, account_id, lookup, secret_sha256, name, scopes, created_at, expires_at)
       VALUES (?, ?, ?, ?, 'test', ?, 0, ?)`,
    ).bind(newId("apiKey"), id, lookup, secretSha256, more.scopes ?? "read write", more.expiresAt ?? null),
  ]);
  return { id, key };
}

/** Bytes that look like a PNG and that no other test has. */
export function newImage(bytes = 100): Uint8Array<ArrayBuffer> {
  const image = new Uint8Array(bytes);
  crypto.getRandomValues(image.subarray(0, Math.min(bytes, 1024)));
  image.set([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return image;
}

export function request(account: TestAccount | null, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (account) headers.set("authorization", `Bearer ${account.key}`);
  return exports.default.fetch(`http://edge.test${path}`, { ...init, headers });
}

/** Sends an image as a multipart form. */
export function send(
  account: TestAccount | null,
  image: Uint8Array<ArrayBuffer> | string,
  more: { prefer?: string; fields?: Record<string, string> } = {},
): Promise<Response> {
  const form = new FormData();
  form.set("image", typeof image === "string" ? new Blob([image]) : new Blob([image]), "photo.png");
  for (const [name, value] of Object.entries(more.fields ?? {})) form.set(name, value);
  const headers = { prefer: more.prefer ?? "wait=30" };
  return request(account, "/v1/analyses", { method: "POST", body: form, headers });
}

export function postJson(
  account: TestAccount | null,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  const json = { "content-type": "application/json", ...headers };
  return request(account, path, { method: "POST", body: JSON.stringify(body), headers: json });
}

export async function resource(response: Response | Promise<Response>): Promise<Analysis> {
  return analysis.parse(await (await response).json());
}

/** Checks that the answer is this problem and returns it. */
export async function expectProblem(
  response: Response | Promise<Response>,
  code: ProblemCode,
): Promise<ProblemDocument> {
  const answer = await response;
  const document = problemDocument.parse(await answer.json());
  expect(document.code).toBe(code);
  expect(answer.status).toBe(document.status);
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  return document;
}

/** Reads the analysis, held until it has ended. */
export function ended(account: TestAccount, id: string): Promise<Analysis> {
  return resource(request(account, `/v1/analyses/${id}`, { headers: { prefer: "wait=30" } }));
}

/** The runner, as far as it concerns one image. */
export async function runnerFor(image: Uint8Array<ArrayBuffer>, ...script: RunnerStep[]) {
  const hash = await sha256Hex(image);
  const url = inject("runnerUrl");
  if (script.length > 0) await post("script", "PUT", JSON.stringify(script));
  return {
    calls: async (): Promise<InferRequest[]> => inferRequest.array().parse(await (await post("calls", "GET")).json()),
    traces: async () => (await post("traces", "GET")).json<string[]>(),
    open: () => post("open", "POST"),
    script: (...steps: RunnerStep[]) => post("script", "PUT", JSON.stringify(steps)),
  };

  function post(room: string, method: string, body?: string): Promise<Response> {
    return fetch(`${url}/${room}/${hash}`, { method, ...(body === undefined ? {} : { body }) });
  }
}

/** An address outside that nobody else has, what lies there, and what was asked of it. */
export async function outside(answer: Omit<OutsideAnswer, "body"> & { body?: Uint8Array }) {
  const name = crypto.randomUUID();
  const base = inject("outsideUrl");
  const change = async (next: typeof answer) => {
    const body = btoa(Array.from(next.body ?? [], (byte) => String.fromCharCode(byte)).join(""));
    await fetch(`${base}/script/${name}`, { method: "PUT", body: JSON.stringify({ ...next, body }) });
  };
  await change(answer);
  return {
    url: `${base}/${name}`,
    change,
    calls: async () =>
      (await fetch(`${base}/calls/${name}`)).json<
        { method: string; headers: Record<string, string>; body: string }[]
      >(),
  };
}

export const problem = (code: ProblemCode, detail = "as the test wants it") => new Problem(code, detail).document();

export const analysisObject = (id: string) => env.ANALYSES.getByName(id);

/** Makes a timer of an analysis due now and runs its alarm. */
export async function ring(id: string, timer: AnalysisTimer): Promise<void> {
  const object = analysisObject(id);
  await runInDurableObject(object, async (_, state) => {
    const { rowsWritten } = state.storage.sql.exec("UPDATE timers SET due = 0 WHERE kind = ?", timer);
    expect(rowsWritten, `timer ${timer} is set`).toBeGreaterThan(0);
    await state.storage.setAlarm(Date.now() + 60_000);
  });
  await runDurableObjectAlarm(object);
}

/** The timers of an analysis that have not been served yet. */
export function timersOf(id: string): Promise<string[]> {
  return runInDurableObject(analysisObject(id), (_, state) =>
    state.storage.sql
      .exec<{ kind: string }>("SELECT kind FROM timers ORDER BY kind")
      .toArray()
      .map((row) => row.kind),
  );
}

/** The ResultObject of an analysis, also after its end. */
export async function resultOf(id: string) {
  const name = await runInDurableObject(
    analysisObject(id),
    (_, state) => state.storage.sql.exec<{ cache_key: string }>("SELECT cache_key FROM record").one().cache_key,
  );
  return env.RESULTS.getByName(name);
}

/** Where a file lies, by its signed address. */
export const keyOf = (address: string | undefined) => new URL(address ?? "").pathname.slice("/omni-iml/".length);

export async function storedKeys(prefix: string): Promise<string[]> {
  return (await env.STORAGE.list({ prefix })).objects.map((object) => object.key);
}

/** Waits until `check` passes. */
export async function eventually(check: () => Promise<void>, milliseconds = 15_000): Promise<void> {
  const until = Date.now() + milliseconds;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (Date.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
}
