/** A customer's server for webhooks: verifies what comes and keeps count of it; can be down. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { unwrapWebhook } from "@omni-iml/sdk";

export class WebhookReceiver implements AsyncDisposable {
  /** What is answered instead of 200, if anything: a status, or no answer at all. */
  fault: number | "hang" | null = null;
  /** Secrets by path; a path without one is not anybody's. */
  readonly secrets = new Map<string, string>();
  /** Of each path, by analysis: the ids under which its end was announced, with how often. */
  readonly announced = new Map<string, Map<string, Map<string, number>>>();
  forged = 0;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<WebhookReceiver> {
    const server = createServer();
    const receiver = new WebhookReceiver(server);
    server.on("request", (request, response) => {
      receiver.#take(request, response).catch(() => response.destroy());
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return receiver;
  }

  url(path: string): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the receiver does not listen");
    return `http://127.0.0.1:${address.port}${path}`;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += chunk;
    const path = request.url ?? "";
    if (this.fault === "hang") return;
    if (this.fault !== null) {
      response.writeHead(this.fault).end();
      return;
    }
    try {
      const message = await unwrapWebhook(body, request.headers, this.secrets.get(path) ?? "");
      if (message.type.startsWith("analysis.") && "id" in message.data) {
        this.#note(path, message.data.id, String(request.headers["webhook-id"]));
      }
    } catch {
      this.forged++;
    }
    response.end();
  }

  #note(path: string, analysis: string, id: string): void {
    const analyses = this.announced.get(path) ?? new Map<string, Map<string, number>>();
    this.announced.set(path, analyses);
    const ids = analyses.get(analysis) ?? new Map<string, number>();
    analyses.set(analysis, ids);
    ids.set(id, (ids.get(id) ?? 0) + 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }
}
