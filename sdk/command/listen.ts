/** `omni-iml webhooks listen`: webhooks on the machine on which somebody develops. */
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import type { OmniIml } from "../client.ts";
import { OmniImlError, WebhookVerificationError } from "../errors.ts";
import type { WebhookMessage } from "../resources.ts";
import { unwrapWebhook } from "../webhooks.ts";
import { numberOf, parseArguments } from "./arguments.ts";
import { UsageError } from "./usage-error.ts";

export const listenUsage = `omni-iml webhooks listen   registers an endpoint here until Ctrl-C, prints each message it verified
  --forward URL   hand each message on, as it came, and answer with what that answers
  --port N        port of this machine (any)
  --url URL       public address that leads here, such as a tunnel's; without it the service must run on this machine
                  and be allowed to reach it: EGRESS_ALLOW_LOOPBACK=1 npm start
  --json          print the messages themselves, one a line`;

const options = {
  forward: { type: "string" },
  port: { type: "string" },
  url: { type: "string" },
  json: { type: "boolean", default: false },
} as const;

/** Statuses of the answers to what came. */
const [taken, refused, notForwarded] = [200, 400, 502];

/** Listens until the signal; answers the exit status. Throws {@link UsageError} and {@link OmniImlError}. */
export async function listen(args: string[], client: OmniIml, signal: AbortSignal): Promise<number> {
  const { values, positionals } = parseArguments(args, options);
  if (positionals.length > 0) throw new UsageError("webhooks listen takes options only");
  if (values.forward !== undefined && !URL.canParse(values.forward)) throw new UsageError("--forward takes an address");
  let secret: string | null = null;
  const server = createServer(async (request, response) => {
    const body = await text(request);
    const message = secret === null ? null : await verified(body, request, secret);
    if (message === null) {
      response.writeHead(refused).end();
      return;
    }
    const status = values.forward === undefined ? taken : await forward(values.forward, body, request);
    const line = `${message.timestamp}  ${message.type}  ${subject(message)}${values.forward ? `  → ${status}` : ""}`;
    console.log(values.json ? body : line);
    response.writeHead(status).end();
  });
  server.listen(Math.floor(numberOf("port", values.port, 0, 0, 65_535)), "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a listening server has a port");
  const url = values.url ?? `http://127.0.0.1:${address.port}/`;
  try {
    const endpoint = await client.webhooks.endpoints.create(
      { url, description: "omni-iml webhooks listen" },
      { signal },
    );
    try {
      secret = endpoint.secret;
      console.error(`listening at ${url}, signed with ${secret}`);
      const { attempts } = await client.webhooks.endpoints.test(endpoint.id, { signal });
      const failure = attempts.at(-1)?.error;
      if (failure) throw new OmniImlError(`a test message did not arrive at ${url}: ${failure}`);
      if (!signal.aborted) await once(signal, "abort");
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      await client.webhooks.endpoints.delete(endpoint.id, { maxRetries: 1 });
    }
  } finally {
    server.closeAllConnections();
    server.close();
  }
  return 0;
}

async function verified(body: string, { headers }: IncomingMessage, secret: string): Promise<WebhookMessage | null> {
  try {
    return await unwrapWebhook(body, headers, secret);
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error;
    console.error(`omni-iml: refused what came: ${error.message}`);
    return null;
  }
}

/** What the developer's own server answers to the message, signature and all. */
async function forward(url: string, body: string, { headers }: IncomingMessage): Promise<number> {
  const handed = ["content-type", "webhook-id", "webhook-timestamp", "webhook-signature"];
  const named = handed.flatMap((name) => (typeof headers[name] === "string" ? [[name, headers[name]] as const] : []));
  try {
    const response = await fetch(url, { method: "POST", headers: Object.fromEntries(named), body, redirect: "manual" });
    await response.body?.cancel();
    return response.status;
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    console.error(`omni-iml: ${url} got no answer: ${cause instanceof Error ? cause.message : cause}`);
    return notForwarded;
  }
}

function subject(message: WebhookMessage): string {
  if (message.type === "webhook.test") return message.data.endpoint;
  if (message.type === "batch.completed") return message.data.id;
  const { id, verdict, score, error } = message.data;
  return [id, verdict, score?.toFixed(2), error?.code].filter((part) => part !== null && part !== undefined).join("  ");
}
