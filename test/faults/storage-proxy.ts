/** A way to the storage's S3 endpoint on which requests fail, hang or break off, as a test wants it. */
import { once } from "node:events";
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { pipeline } from "node:stream/promises";

export interface StorageFault {
  method: "GET" | "PUT";
  /** `hang`: no answer at all; `cut`: the connection ends half way; `refuse`: 503. */
  kind: "hang" | "cut" | "refuse";
  /** Of the requests, 0 to 1. */
  share: number;
}

export class StorageProxy implements AsyncDisposable {
  fault: StorageFault | null = null;
  readonly #server: Server;
  readonly #target: number;

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.#target = target;
  }

  /** Leads to the local S3 endpoint of the worker at `port`. */
  static async start(port: number): Promise<StorageProxy> {
    const server = createServer();
    const proxy = new StorageProxy(server, port);
    server.on("request", (request, response) => {
      proxy.#handle(request, response).catch(() => response.destroy());
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return proxy;
  }

  get endpoint(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the proxy does not listen");
    return `http://127.0.0.1:${address.port}/cdn-cgi/local/r2/s3`;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { fault } = this;
    const hit = fault !== null && fault.method === request.method && Math.random() < fault.share ? fault.kind : null;
    if (hit === "hang") return;
    if (hit === "refuse") {
      request.resume();
      response.writeHead(503, { "content-type": "application/xml" }).end("<Error><Code>SlowDown</Code></Error>");
      return;
    }
    // With the host that was asked for: it is signed.
    const { method, headers, url: path } = request;
    const options = { host: "127.0.0.1", port: this.#target, method, path, headers };
    const forward = httpRequest(options);
    const answered = once(forward, "response") as Promise<[IncomingMessage]>;
    // Whoever waits for it learns of it; nobody does where the request broke off before.
    answered.catch(() => undefined);
    if (hit === "cut" && request.method === "PUT") {
      request.once("data", (chunk: Buffer) => {
        forward.write(chunk.subarray(0, chunk.length / 2));
        forward.destroy();
        response.destroy();
      });
      await answered.catch(() => undefined);
      return;
    }
    await pipeline(request, forward);
    const [answer] = await answered;
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    if (hit === "cut") {
      answer.once("data", (chunk: Buffer) => {
        response.write(chunk.subarray(0, chunk.length / 2), () => response.destroy());
        answer.destroy();
      });
      return;
    }
    await pipeline(answer, response);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }
}
