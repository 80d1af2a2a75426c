/** Object storage for tests: a local HTTP server whose GET and PUT paths are what presigned URLs lead to. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";

export class LocalStorage implements AsyncDisposable {
  /** Bytes by path. */
  readonly objects = new Map<string, Buffer>();
  readonly contentTypes = new Map<string, string>();
  /** Statuses to answer before anything else, by method and path; each is used once. */
  readonly failures = new Map<string, number[]>();
  /** Milliseconds before a GET of a path is answered. */
  readonly delays = new Map<string, number>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<LocalStorage> {
    const server = createServer();
    const storage = new LocalStorage(server);
    server.on("request", async (request, response) => {
      const path = request.url ?? "/";
      const failure = storage.failures.get(`${request.method} ${path}`)?.shift();
      const chunks: Buffer[] = [];
      try {
        for await (const chunk of request) chunks.push(chunk);
      } catch {
        // Whoever sent it has gone; nothing of it is kept.
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, storage.delays.get(path) ?? 0));
      if (failure !== undefined) {
        response.writeHead(failure).end();
      } else if (request.method === "PUT") {
        storage.objects.set(path, Buffer.concat(chunks));
        storage.contentTypes.set(path, request.headers["content-type"] ?? "");
        response.end();
      } else {
        const object = storage.objects.get(path);
        if (object === undefined) response.writeHead(404).end();
        else response.end(object);
      }
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return storage;
  }

  url(path: string): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the storage does not listen");
    return `http://127.0.0.1:${address.port}${path}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
