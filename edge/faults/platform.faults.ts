/** Faults of the platform's own parts, under a steady load. */
import { createMessageBatch } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { consumeDispatches } from "../analysis/dispatch-queue.ts";
import type { DispatchMessage } from "../environment.ts";
import { expectProblem, request } from "../testing/client.ts";
import { all, faultyAccount, submit, tally } from "./tally.ts";

const jobs = 120;

/** Lets `share` of the calls of a method fail until it is undone. */
function breaking<Bound extends object, Name extends keyof Bound & string>(bound: Bound, names: Name[], share: number) {
  const prototype = Object.getPrototypeOf(bound);
  const originals = names.map((name) => [name, prototype[name]] as const);
  for (const [name, original] of originals) {
    prototype[name] = function (this: Bound, ...args: unknown[]) {
      if (Math.random() < share) throw new Error(`${name} fails, as the test wants it`);
      return original.apply(this, args);
    };
  }
  return {
    [Symbol.dispose]() {
      for (const [name, original] of originals) prototype[name] = original;
    },
  };
}

it("queue: every message thrice, late and out of order", async () => {
  const account = await faultyAccount();
  const ids = await all(jobs, (number) => submit(account, number % 2 === 0 ? "respond-async" : "wait=30"));
  const messages = [...ids, ...ids, ...ids].sort(() => Math.random() - 0.5);
  const deliver = (some: string[]) => {
    const bodies = some.map((analysis, n) => ({
      id: `${analysis}-${n}`,
      timestamp: new Date(),
      attempts: 1,
      body: { analysis },
    }));
    return consumeDispatches(createMessageBatch<DispatchMessage>("dispatch", bodies), env);
  };
  await all(messages.length / 10, (number) => deliver(messages.slice(number * 10, number * 10 + 10)));
  const lifted = Date.now();
  await tally("queue: messages thrice, late, out of order", account, ids, lifted);
  // Once more when all have ended: nothing may change.
  await all(ids.length / 10, (number) => deliver(ids.slice(number * 10, number * 10 + 10)));
  await tally(null, account, ids, lifted);
});

it("queue: messages get lost", async () => {
  const account = await faultyAccount();
  let ids: string[];
  {
    using _fault = breaking(env.DISPATCH, ["send"], 0.7);
    ids = await all(40, () => submit(account, "respond-async"));
  }
  // The record's alarm takes over after half a minute.
  await tally("queue: sending fails", account, ids, Date.now());
});

it("D1: the index and the registry of endpoints fail", async () => {
  const account = await faultyAccount();
  const rename = (from: string, to: string) => env.DATABASE.prepare(`ALTER TABLE ${from} RENAME TO ${to}`).run();
  const first = await all(jobs / 4, () => submit(account, "wait=30"));
  await rename("analyses", "analyses_gone");
  await rename("webhook_endpoints", "webhook_endpoints_gone");
  const meanwhile = await all(jobs / 2, () => submit(account, "wait=30"));
  expect((await request(account, `/v1/analyses/${meanwhile[0]}`)).status).toBe(200);
  await rename("analyses_gone", "analyses");
  await rename("webhook_endpoints_gone", "webhook_endpoints");
  const lifted = Date.now();
  const last = await all(jobs / 4, () => submit(account, "wait=30"));
  await tally("D1: writes and reads fail", account, [...first, ...meanwhile, ...last], lifted);
});

it("D1: the keys cannot be looked up", async () => {
  const account = await faultyAccount();
  const before = await all(jobs / 4, () => submit(account, "wait=30"));
  await env.DATABASE.prepare("ALTER TABLE api_keys RENAME TO api_keys_gone").run();
  const stopped = await request(account, "/v1/models");
  expect(stopped.headers.get("retry-after")).not.toBeNull();
  await expectProblem(stopped, "overloaded");
  const waiting = all(jobs / 4, () => submit(account, "wait=30"));
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  await env.DATABASE.prepare("ALTER TABLE api_keys_gone RENAME TO api_keys").run();
  const lifted = Date.now();
  await tally("D1: keys cannot be looked up", account, [...before, ...(await waiting)], lifted);
});

it.each([
  ["put", 0.5],
  ["get", 0.5],
  ["delete", 0.5],
] as const)("storage binding: %s fails", async (method, share) => {
  const account = await faultyAccount();
  let ids: string[];
  {
    using _fault = breaking(env.STORAGE, [method], share);
    ids = await all(jobs / 2, (number) => submit(account, number % 3 === 0 ? "respond-async" : "wait=30"));
  }
  await tally(`storage binding: ${method} fails`, account, ids, Date.now());
  const { in_flight } = await (await request(account, "/v1/usage")).json<{ in_flight: { used: number } }>();
  expect(in_flight.used, "nothing that was refused holds a place").toBe(0);
});
