/** A receiver that is down for all of a webhook's schedule: nothing is lost, and everything comes once it is back. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { newId } from "@omni-iml/shared/ids";
import { expect, it } from "vitest";
import { settings } from "../environment.ts";
import { eventually, request } from "../testing/client.ts";
import { DeliveryLog } from "../webhooks/delivery-log.ts";
import { all, faultyAccount, print, submit, tally } from "./tally.ts";

const day = 86_400_000;
/** As wrangler.toml has it. */
const recommended = [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400].map((seconds) => seconds * 1000);

it("webhooks' receiver down for the whole schedule of three days, which is injected", async () => {
  const messages = 300;
  const id = newId("webhookEndpoint");
  // Of an endpoint that is disabled on the way, dead letters are what is left; so it must not be.
  const limits = { ...settings(env), WEBHOOK_RETRY_S: recommended, WEBHOOK_DISABLE_AFTER_S: 30 * day };
  const { delivered, dead, ended } = await runInDurableObject(env.ENDPOINTS.getByName(id), async (_, state) => {
    const log = new DeliveryLog(state.storage, limits);
    let now = Date.now() + 1000 * day;
    const registered = { id, account: "ac", kind: "registered", url: "https://example.com/", events: null } as const;
    log.create({ ...registered, description: "" }, now);
    const event = (n: number) =>
      ({ id: newId("event", now + n), type: "analysis.succeeded", at: now, subject: null }) as const;
    const ids = Array.from({ length: messages }, (_none, n) => ({ ...event(n), data: "{}" }));
    for (const one of ids) {
      log.add(one, null, now);
      // The announcement was repeated, as it is when its answer gets lost.
      log.add(one, null, now);
    }
    const until = now + 4 * day;
    const down = { kind: "answered", status: 503, retryAfter: null, duration: 1 } as const;
    for (; now < until; now += 60_000) for (const claim of claims(log, now)) log.finish(claim, down, now);
    const given = ids.filter((one) => log.delivery(one.id)?.status === "dead").length;
    // It is back: what was given up is replayed.
    log.replayDeadLetters(now);
    const got = new Map<string, number>();
    const from = now;
    for (; now < from + day; now += 60_000) {
      for (const claim of claims(log, now)) {
        got.set(claim.event.id, (got.get(claim.event.id) ?? 0) + 1);
        log.finish(claim, { ...down, status: 200 }, now);
      }
      if (got.size === messages) break;
    }
    await state.storage.deleteAll();
    return { delivered: got, dead: given, ended: now - from };
  });
  const duplicated = [...delivered.values()].filter((count) => count > 1).length;
  const lost = messages - delivered.size;
  const fault = "webhooks' receiver down for the whole schedule (messages; time injected)";
  print({ fault, jobs: messages, succeeded: delivered.size, failed: 0, lost, duplicated, recovery: ended });
  expect({ dead, lost, duplicated }).toEqual({ dead: messages, lost: 0, duplicated: 0 });
});

/** All that is due. */
function* claims(log: DeliveryLog, now: number) {
  for (let some = log.claim(8, now); some.length > 0; some = log.claim(8, now)) yield* some;
}

it("webhooks' receiver down for a whole schedule, then dead letters replayed", async () => {
  const account = await faultyAccount();
  await account.receiver.change({ status: 503 });
  const ids = await all(80, () => submit(account, "wait=30"));
  const path = `/v1/webhook-endpoints/${account.endpoint}`;
  await eventually(async () => {
    const endpoint = await (await request(account, path)).json<{ dead_letters: number }>();
    expect(endpoint.dead_letters).toBe(ids.length);
  }, 240_000);
  await account.receiver.change({ status: 200 });
  const lifted = Date.now();
  expect((await request(account, `${path}/dead-letters/replay`, { method: "POST" })).status).toBe(202);
  await tally("webhooks' receiver down for a whole schedule, dead letters replayed", account, ids, lifted);
});
