/** Accounts, the admin command and webhooks of a stack that `npm start` brought up, with a receiver beside it. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { createdAccount, createdApiKey, usage } from "@omni-iml/shared/accounts";
import { analysisEvent, webhookMessage } from "@omni-iml/shared/webhook-messages";
import {
  createdWebhookEndpoint,
  type WebhookDelivery,
  webhookDeliveryPage,
  webhookEndpointList,
  webhookSecret,
} from "@omni-iml/shared/webhooks";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, expect, it } from "vitest";
import { freePort } from "../../infra/local/ports.ts";
import { LocalService, temporaryState } from "./local-service.ts";
import { photograph } from "./pictures.ts";

const command = resolve(import.meta.dirname, "../../sdk/command/main.ts");
const run = promisify(execFile);

interface Received {
  headers: Record<string, string>;
  body: string;
}

let service: LocalService;
let state: Awaited<ReturnType<typeof temporaryState>>;
let receiver: Server;
let receiverUrl: string;
let received: Received[] = [];
/** What the receiver answers, one after the other; 200 after the last. */
let answers: number[] = [];

beforeAll(async () => {
  receiver = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += chunk;
    received.push({ headers: plain(request.headers), body });
    response.writeHead(answers.shift() ?? 200).end();
  });
  receiver.listen(0, "127.0.0.1");
  await once(receiver, "listening");
  const address = receiver.address();
  if (address === null || typeof address === "string") throw new Error("the receiver has no port");
  receiverUrl = `http://127.0.0.1:${address.port}/hook`;
  state = await temporaryState();
  const variables = { EGRESS_ALLOW_LOOPBACK: "1", WEBHOOK_RETRY_S: "1,2" };
  service = await LocalService.start(state.path, await freePort(), variables);
});
afterAll(async () => {
  await service.interrupt();
  await state[Symbol.asyncDispose]();
  receiver.closeAllConnections();
  receiver.close();
});

function plain(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}

/** Runs the command as a person does and answers what it prints. */
async function omniIml(key: string, ...args: string[]): Promise<string> {
  const env = { ...process.env, OMNI_IML_KEY: key, OMNI_IML_URL: service.baseUrl };
  const { stdout } = await run(process.execPath, [command, ...args], { env });
  return stdout.trim();
}

async function eventually(check: () => void | Promise<void>): Promise<void> {
  for (const until = Date.now() + 30_000; ; ) {
    try {
      await check();
      return;
    } catch (error) {
      if (Date.now() > until) throw error;
      await new Promise((wait) => setTimeout(wait, 100));
    }
  }
}

function fetchAs(key: string, path: string, init: { method?: string; json?: object } = {}): Promise<Response> {
  const headers = { authorization: `Bearer ${key}`, ...(init.json && { "content-type": "application/json" }) };
  const body = init.json && JSON.stringify(init.json);
  return fetch(service.baseUrl + path, { method: init.method ?? "GET", headers, ...(body && { body }) });
}

/** Sends a picture and answers its id. */
async function analyse(key: string, webhook?: object): Promise<string> {
  const form = new FormData();
  form.set("image", new File([await photograph(320, 240)], "photo.jpg"));
  if (webhook) form.set("webhook", JSON.stringify(webhook));
  const headers = { authorization: `Bearer ${key}`, prefer: "wait=60" };
  const response = await fetch(`${service.baseUrl}/v1/analyses`, { method: "POST", body: form, headers });
  expect(response.status).toBe(201);
  const { id } = (await response.json()) as { id: string };
  return id;
}

async function deliveries(key: string, endpoint: string): Promise<WebhookDelivery[]> {
  const response = await fetchAs(key, `/v1/webhook-endpoints/${endpoint}/deliveries`);
  return webhookDeliveryPage.parse(await response.json()).data;
}

it("an operator makes accounts and keys at the command line; accounts do not see each other", async () => {
  const created = createdAccount.parse(
    JSON.parse(
      await omniIml(service.apiKey, "admin", "accounts", "create", "Newsroom", "--monthly-quota", "3", "--json"),
    ),
  );
  const first = created.api_key.key ?? "";
  const [id = "", key = ""] = (
    await omniIml(first, "admin", "keys", "create", "reporting", "--scopes", "read,write", "--expires-in", "1d")
  ).split("\n");
  const analysis = await analyse(key);
  expect((await fetchAs(key, `/v1/analyses/${analysis}`)).status).toBe(200);
  expect((await fetchAs(service.apiKey, `/v1/analyses/${analysis}`)).status).toBe(404);
  expect(await omniIml(first, "admin", "keys", "list")).toMatch(
    new RegExp(`${id} +reporting +omni_live_\\w+ +read,write`),
  );
  const rolled = createdApiKey.parse(JSON.parse(await omniIml(first, "admin", "keys", "roll", id, "--json")));
  expect((await fetchAs(key, "/v1/models")).status).toBe(401);
  expect((await fetchAs(rolled.key ?? "", "/v1/models")).status).toBe(200);
  await omniIml(first, "admin", "keys", "revoke", rolled.id);
  expect((await fetchAs(rolled.key ?? "", "/v1/models")).status).toBe(401);
  await eventually(async () => {
    const used = usage.parse(JSON.parse(await omniIml(first, "admin", "usage", "--json")));
    expect(used.days).toMatchObject([{ analyses: 1, succeeded: 1, cached: 0 }]);
    expect(used.month).toMatchObject({ quota: 3, used: 1 });
  });
  await expect(omniIml(first, "admin", "accounts", "list")).rejects.toMatchObject({ code: 2, stderr: /operator/ });
  expect(await omniIml(service.apiKey, "admin", "accounts", "list")).toContain("Newsroom");
  await omniIml(service.apiKey, "admin", "accounts", "change", created.id, "--disable");
  expect((await fetchAs(first, "/v1/models")).status).toBe(401);
});

it("the command says what does not fit, with status 2", async () => {
  for (const [args, words] of [
    [["admin", "keys", "make"], "there is no command"],
    [["admin", "keys", "create"], "takes NAME"],
    [["admin", "keys", "create", "a", "--expires-in", "soon"], "no time"],
    [["admin", "keys", "list", "--disable"], "has no option --disable"],
    [["admin", "keys", "revoke", "ak_1"], "invalid_request"],
  ] as const) {
    await expect(omniIml(service.apiKey, ...args)).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining(words),
    });
  }
});

it("registered and per-request webhooks arrive signed, are tried again, logged and delivered again on demand", async () => {
  const key = service.apiKey;
  const made = await fetchAs(key, "/v1/webhook-endpoints", { method: "POST", json: { url: receiverUrl } });
  const { id, secret } = createdWebhookEndpoint.parse(await made.json());
  received = [];
  answers = [500, 200];
  const analysis = await analyse(key);
  await eventually(async () =>
    expect(await deliveries(key, id)).toMatchObject([
      { status: "succeeded", subject: analysis, attempts: [{ status: 500 }, { status: 200, error: null }] },
    ]),
  );
  expect(received).toHaveLength(2);
  for (const { body, headers } of received) {
    const { data } = analysisEvent.parse(new Webhook(secret).verify(body, headers));
    expect(data.id).toBe(analysis);
    const mask = await fetch(data.files.mask?.url ?? "about:blank");
    expect(mask.headers.get("content-type")).toBe("image/png");
  }
  const [delivery] = await deliveries(key, id);
  const again = `/v1/webhook-endpoints/${id}/deliveries/${delivery?.id}/redeliver`;
  expect((await fetchAs(key, again, { method: "POST" })).status).toBe(202);
  await eventually(() => expect(received).toHaveLength(3));
  expect(new Set(received.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
  expect((await fetchAs(key, `/v1/webhook-endpoints/${id}`, { method: "DELETE" })).status).toBe(204);

  received = [];
  const second = await analyse(key, { url: receiverUrl, events: ["analysis.succeeded"] });
  await eventually(() => expect(received).toHaveLength(1));
  const { data: endpoints } = webhookEndpointList.parse(await (await fetchAs(key, "/v1/webhook-endpoints")).json());
  const [perRequest] = endpoints;
  expect(endpoints).toMatchObject([{ kind: "per_request", dead_letters: 0 }]);
  const answer = await fetchAs(key, `/v1/webhook-endpoints/${perRequest?.id}/secret`);
  const own = webhookSecret.parse(await answer.json()).secret;
  const [message] = received;
  const verified = webhookMessage.parse(new Webhook(own).verify(message?.body ?? "", message?.headers ?? {}));
  expect(verified).toMatchObject({ type: "analysis.succeeded", data: { id: second } });
});

it("metrics are there for Prometheus", async () => {
  const response = await fetchAs(service.apiKey, "/metrics");
  expect(response.headers.get("content-type")).toContain("version=0.0.4");
  const text = await response.text();
  expect(text).toMatch(
    /^omni_edge_requests_total\{route="\/v1\/analyses",method="POST",status="201",outcome="ok"\} [3-9]$/m,
  );
  expect(text).toMatch(/^omni_edge_webhook_attempts_total\{outcome="delivered"\} [3-9]$/m);
});
