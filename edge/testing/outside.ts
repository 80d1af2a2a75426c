/**
 * The world outside, for tests: the real egress proxy, which may connect to this machine here, and a server behind it.
 *
 * `PUT /script/{name}` says what lies at `/{name}`, `GET /calls/{name}` answers what was asked there: method, headers,
 * body. Without a script an address answers 404.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { TestProject } from "vitest/node";
import { createEgressProxy } from "../../infra/egress-proxy/proxy.ts";
import type { OutsideAnswer } from "./outside-script.ts";

declare module "vitest" {
  interface ProvidedContext {
    egressUrl: string;
    outsideUrl: string;
  }
}

const scripts = new Map<string, OutsideAnswer>();
const calls = new Map<string, { method: string; headers: IncomingMessage["headers"]; body: string }[]>();

async function readText(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += chunk;
  return text;
}

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [, room = "", name = ""] = (request.url ?? "").split("/");
  const body = await readText(request);
  if (room === "script") {
    scripts.set(name, JSON.parse(body));
    response.end();
    return;
  }
  if (room === "calls") {
    response.end(JSON.stringify(calls.get(name) ?? []));
    return;
  }
  calls.set(room, [...(calls.get(room) ?? []), { method: request.method ?? "", headers: request.headers, body }]);
  const script = scripts.get(room) ?? { status: 404 };
  const bytes = Buffer.from(script.body ?? "", "base64");
  const half = Math.floor(bytes.length / 2);
  const pause = () => new Promise((resolve) => setTimeout(resolve, script.delay ?? 0));
  if (script.delay !== undefined) await pause();
  response.writeHead(script.status ?? 200, script.headers);
  response.write(bytes.subarray(0, half));
  if (script.delay !== undefined) await pause();
  response.end(bytes.subarray(half));
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return `http://127.0.0.1:${address.port}`;
}

export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const outside = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  });
  const proxy = createEgressProxy({ secret: "test-egress-secret", allowLoopback: true });
  provide("outsideUrl", await listen(outside));
  provide("egressUrl", await listen(proxy));
  return async () => {
    for (const server of [proxy, outside]) {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    }
  };
}
