/** The proxy against real servers and real connections; names are resolved as each test says. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { createServer as createSocketServer, type Socket } from "node:net";
import { signedHeaders } from "@omni-iml/shared/signature";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { type ForwardRequest, forwardPath } from "../../edge/egress/forwarding.ts";
import { isPublicAddress } from "../../edge/egress/public-address.ts";
import { disguises, insideIPv4, insideIPv6, outsideAddresses } from "../../edge/testing/inside-addresses.ts";
import { createEgressProxy } from "./proxy.ts";

const secret = "the worker signs with this";
const names = new Map<string, string[]>();
let asked: string[] = [];
let seen: { host: string | undefined; body: string }[] = [];
let target: Server;
let strict: Server;
let lenient: Server;
let respond: RequestListener = (_, response) => response.end("hello");

async function listen(server: Server): Promise<Server> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return address.port;
}

async function readText(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += chunk;
  return text;
}

beforeAll(async () => {
  target = await listen(
    createServer(async (request, response) => {
      seen.push({ host: request.headers.host, body: await readText(request) });
      respond(request, response);
    }),
  );
  const resolve = async (name: string) => {
    asked.push(name);
    return names.get(name) ?? [];
  };
  strict = await listen(createEgressProxy({ secret, allowLoopback: false, resolve }));
  lenient = await listen(createEgressProxy({ secret, allowLoopback: true, resolve }));
});
beforeEach(() => {
  asked = [];
  seen = [];
  names.clear();
  respond = (_, response) => response.end("hello");
});
afterAll(async () => {
  for (const server of [strict, lenient, target]) {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  }
});

async function forward(proxy: Server, url: string, more: Partial<ForwardRequest> = {}, by = secret) {
  const request: ForwardRequest = { url, method: "GET", headers: {}, body: null, timeout: 5_000, ...more };
  const body = JSON.stringify(request);
  const headers = await signedHeaders(by, { method: "POST", path: forwardPath, body });
  return fetch(`http://127.0.0.1:${portOf(proxy)}${forwardPath}`, { method: "POST", headers, body });
}

async function expectFailure(answer: Response | Promise<Response>, reason: string) {
  const response = await answer;
  expect(response.status).toBe(502);
  expect(response.headers.get("egress-status")).toBeNull();
  expect(await response.json()).toMatchObject({ reason });
}

describe("addresses", () => {
  const literals = [...insideIPv4, ...disguises, ...insideIPv6.map((address) => `[${address}]`)];
  it.each(literals)("refuses %s", async (host) => {
    await expectFailure(forward(strict, `http://${host}/`), "address_refused");
    expect(asked).toEqual([]);
  });

  it.each([...insideIPv4, ...insideIPv6])("refuses a name that leads to %s", async (address) => {
    names.set("photos.test", [address]);
    await expectFailure(forward(strict, "http://photos.test/"), "address_refused");
    names.set("photos.test", ["93.184.216.34", address]);
    await expectFailure(forward(strict, "http://photos.test/"), "address_refused");
    expect(seen).toEqual([]);
  });

  it.each(["10.0.0.1", "169.254.169.254", "100.64.0.1", "::ffff:10.0.0.1"])(
    "refuses %s even where loopback is allowed",
    async (address) => {
      names.set("photos.test", [address]);
      await expectFailure(forward(lenient, "http://photos.test/"), "address_refused");
    },
  );

  it.each(["8.8.8.8", "93.184.216.34", "2606:4700::1111", ...outsideAddresses])("takes %s for public", (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  it("resolves once and connects to what was checked, under the name that was asked for", async () => {
    names.set("photos.test", ["127.0.0.1"]);
    const host = `photos.test:${portOf(target)}`;
    const response = await forward(lenient, `http://${host}/a.jpg`);
    expect(await response.text()).toBe("hello");
    expect(asked).toEqual(["photos.test"]);
    expect(seen).toEqual([{ host, body: "" }]);
    await expectFailure(forward(strict, `http://${host}/a.jpg`), "address_refused");
    expect(seen).toHaveLength(1);
  });

  it("goes where it was checked though the name leads inside a moment later (rebinding)", async () => {
    const answers = [["127.0.0.1"], ["10.0.0.1"]];
    const proxy = await listen(
      createEgressProxy({ secret, allowLoopback: true, resolve: async () => answers.shift() ?? [] }),
    );
    const url = `http://photos.test:${portOf(target)}/`;
    expect(await (await forward(proxy, url)).text()).toBe("hello");
    expect(answers).toEqual([["10.0.0.1"]]);
    await expectFailure(forward(proxy, url), "address_refused");
    expect(seen).toHaveLength(1);
    proxy.closeAllConnections();
    await new Promise((closed) => proxy.close(closed));
  });

  it("says so where a name is not known or nobody answers", async () => {
    await expectFailure(forward(strict, "http://nobody.test/"), "unreachable");
    names.set("closed.test", ["127.0.0.1"]);
    const gone = await listen(createServer());
    const port = portOf(gone);
    await new Promise((closed) => gone.close(closed));
    await expectFailure(forward(lenient, `http://closed.test:${port}/`), "unreachable");
  });
});

describe("what passes", () => {
  const url = () => `http://127.0.0.1:${portOf(target)}/`;

  it("the status, the headers that the worker needs, the body; a redirect is not followed", async () => {
    respond = (_, response) => {
      response.writeHead(302, { location: "http://10.0.0.1/", "retry-after": "7", "set-cookie": "a=b" }).end("moved");
    };
    const response = await forward(lenient, url());
    expect(response.status).toBe(200);
    expect(response.headers.get("egress-status")).toBe("302");
    expect(response.headers.get("egress-location")).toBe("http://10.0.0.1/");
    expect(response.headers.get("egress-retry-after")).toBe("7");
    expect([...response.headers.keys()].filter((name) => name.includes("cookie"))).toEqual([]);
    expect(await response.text()).toBe("moved");
  });

  it("a POST with its body", async () => {
    const body = '{"text":"ünicode"}';
    await forward(lenient, url(), { method: "POST", body, headers: { "content-type": "application/json" } });
    expect(seen[0]?.body).toBe(body);
  });

  it("no more time than was given", async () => {
    respond = () => undefined;
    await expectFailure(forward(lenient, url(), { timeout: 200 }), "timed_out");
  });

  it("nothing without the worker's signature", async () => {
    expect((await forward(lenient, url(), {}, "another secret")).status).toBe(401);
    const plain = await fetch(`http://127.0.0.1:${portOf(lenient)}${forwardPath}`, { method: "POST", body: "{}" });
    expect(plain.status).toBe(401);
    expect(seen).toEqual([]);
  });

  it("only http and https", async () => {
    expect((await forward(lenient, "file:///etc/passwd")).status).toBe(400);
  });
});

describe("a server that means harm", () => {
  /** Says the same again and again until its caller has gone. */
  function drip(socket: Socket, text: string): void {
    const timer = setInterval(() => socket.write(text), 10);
    socket.once("close", () => clearInterval(timer));
  }
  const head = "HTTP/1.1 200 OK\r\n";
  const behaviours: [name: string, ends: string, act: (socket: Socket) => void][] = [
    ["no HTTP at all", "unreachable", (socket) => socket.end("220 smtp.example.com ESMTP\r\n\r\n")],
    ["an end at once", "unreachable", (socket) => socket.end()],
    ["headers of 100 kB", "unreachable", (socket) => socket.write(`${head}a: ${"x".repeat(100_000)}\r\n\r\n`)],
    [
      "two lengths",
      "unreachable",
      (socket) => socket.end(`${head}content-length: 2\r\ncontent-length: 5\r\n\r\nhello`),
    ],
    [
      "a length and chunks",
      "unreachable",
      (socket) => socket.end(`${head}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`),
    ],
    [
      "a switch to another protocol",
      "unreachable",
      (socket) => socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"),
    ],
    ["hints without end", "timed_out", (socket) => drip(socket, "HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n")],
    [
      "headers without end",
      "timed_out",
      (socket) => {
        socket.write(head);
        drip(socket, "a: b\r\n");
      },
    ],
    ["silence", "timed_out", () => undefined],
    [
      "a chunk that is none",
      "broken",
      (socket) => socket.write(`${head}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\nZZ\r\nof-the-body\r\n`),
    ],
    ["less than it names", "broken", (socket) => socket.end(`${head}content-length: 100\r\n\r\nof-the-body`)],
    [
      "a reset in the middle",
      "broken",
      (socket) => {
        socket.write(`${head}content-length: 100\r\n\r\nof-the-body`);
        setTimeout(() => socket.resetAndDestroy(), 50);
      },
    ],
    ["more than it names", "2", (socket) => void socket.write(`${head}content-length: 2\r\n\r\nok${head}\r\n`)],
  ];

  it.each(behaviours)("%s: ends in time, in silence, and harms nobody else", async (_, ends, act) => {
    const complaint = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const sockets = new Set<Socket>();
    const harmful = createSocketServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => undefined).once("data", () => act(socket));
    });
    harmful.listen(0, "127.0.0.1");
    await once(harmful, "listening");
    onTestFinished(() => {
      complaint.mockRestore();
      for (const socket of sockets) socket.destroy();
      harmful.close();
    });
    const address = harmful.address();
    if (address === null || typeof address === "string") throw new Error("the server has no port");
    const response = await forward(lenient, `http://127.0.0.1:${address.port}/?token=secret`, { timeout: 500 });
    if (ends === "broken") await expect(response.text()).rejects.toThrow();
    else if (ends === "2") expect(await response.text()).toBe("ok");
    else await expectFailure(response, ends);
    expect(await (await forward(lenient, `http://127.0.0.1:${portOf(target)}/`)).text()).toBe("hello");
    expect(complaint).not.toHaveBeenCalled();
  });
});
