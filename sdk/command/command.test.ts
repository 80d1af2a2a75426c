/** The command as a process, against a small service: what it prints, what it stores, how it ends. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { analysisExample } from "@omni-iml/shared/examples";
import { Problem } from "@omni-iml/shared/problems";
import { newWebhookSecret } from "@omni-iml/shared/webhook-signature";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";

const main = resolve(import.meta.dirname, "main.ts");
const secret = newWebhookSecret();
const file = "a file of the result";

let folder: string;
let service: Server;
let baseUrl: string;
/** `METHOD path` of each request. */
let seen: string[] = [];
/** What was last asked to be changed about an account. */
let change: unknown;
/** Where the registered endpoint leads. */
let endpointUrl = "";

/** What the image says about itself decides what is found in it. */
function finding(content: string) {
  const verdict = content.includes("tampered") ? "tampered" : "no_tampering_detected";
  const { probability } = analysisExample.files;
  const files = { probability: { ...probability, url: `${baseUrl}/file`, bytes: file.length } };
  return { ...analysisExample, verdict, regions: verdict === "tampered" ? analysisExample.regions : [], files };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "omni-iml-command-"));
  const bodies = new Map<string, string>();
  service = createServer(async (request, response) => {
    const path = request.url ?? "";
    seen.push(`${request.method} ${path}`);
    let body = "";
    for await (const chunk of request.setEncoding("latin1")) body += chunk;
    const answer = (status: number, value: object) => void response.writeHead(status).end(JSON.stringify(value));
    if (path === "/file") return void response.end(file);
    if (path === "/v1/nowhere") return void response.writeHead(404).end();
    if (path.startsWith("/v1/accounts/")) {
      change = JSON.parse(body);
      return answer(200, { object: "account", id: "ac_1" });
    }
    if (request.method === "DELETE") return void response.writeHead(204).end();
    if (path === "/v1/webhook-endpoints") {
      endpointUrl = JSON.parse(body).url;
      return answer(201, { object: "webhook_endpoint", id: "wh_1", secret });
    }
    if (path === "/v1/webhook-endpoints/wh_1/test") {
      const status = await sendMessage({ type: "webhook.test", timestamp: "now", data: { endpoint: "wh_1" } });
      const attempts = [{ status, error: status === 200 ? null : `It answered ${status}.` }];
      return answer(200, { object: "webhook_delivery", id: "ev_1", attempts });
    }
    if (path === "/v1/analyses") {
      if (body.includes("broken")) {
        const problem = new Problem("unsupported_media_type", "It is a text.");
        return answer(problem.status, problem.document());
      }
      const id = `an_${bodies.size}`;
      bodies.set(id, body);
      return answer(202, { ...finding(body), id, status: "queued", ended_at: null, verdict: null });
    }
    const [, id = "", events] = /^\/v1\/analyses\/(an_\d+)(\/events)?/.exec(path) ?? [];
    if (!events) return answer(200, { ...finding(""), id, status: "canceled" });
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write('event: stage\ndata: {"stage":"inference","progress":0.5,"attempt":1,"at":"now"}\n\n');
    const content = bodies.get(id) ?? "";
    if (!content.includes("slow")) {
      response.end(`event: end\ndata: ${JSON.stringify({ ...finding(content), id })}\n\n`);
    }
  });
  await new Promise<void>((listening) => service.listen(0, "127.0.0.1", listening));
  const address = service.address();
  if (address === null || typeof address === "string") throw new Error("the service has no port");
  baseUrl = `http://127.0.0.1:${address.port}`;
  await mkdir(join(folder, "images/more"), { recursive: true });
  await writeFile(join(folder, "images/a.jpg"), "authentic");
  await writeFile(join(folder, "images/more/b.PNG"), "tampered");
  await writeFile(join(folder, "images/notes.txt"), "no image");
  await writeFile(join(folder, "broken.jpg"), "broken");
  await writeFile(join(folder, "slow.jpg"), "slow");
});
afterAll(async () => {
  service.closeAllConnections();
  service.close();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  seen = [];
});

async function sendMessage(message: object, by = secret): Promise<number> {
  const [body, now] = [JSON.stringify(message), new Date()];
  const headers = {
    "webhook-id": "ev_1",
    "webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
    "webhook-signature": new Webhook(by).sign("ev_1", now, body),
  };
  return (await fetch(endpointUrl, { method: "POST", headers, body })).status;
}

interface Started {
  child: ChildProcess;
  output: { stdout: string; stderr: string };
  ended: Promise<number | null>;
}

function start(args: string[], variables: NodeJS.ProcessEnv = {}): Started {
  const env = { ...process.env, OMNI_IML_KEY: "omni_test", OMNI_IML_URL: baseUrl, ...variables };
  const child = spawn(process.execPath, [main, ...args], { cwd: folder, env });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    output.stderr += text;
  });
  return { child, output, ended: new Promise((done) => child.once("close", done)) };
}

async function omniIml(args: string[], stdin = "") {
  const { child, output, ended } = start(args);
  child.stdin?.end(stdin);
  return { status: await ended, ...output };
}

describe("analyze", () => {
  it("ends with 1 where tampering is found, shows a table, and stores the files by the folder's own paths", async () => {
    const { status, stdout } = await omniIml(["analyze", "images", "--out", "results"]);
    expect(status).toBe(1);
    expect(stdout.trimEnd().split("\n")).toEqual([
      expect.stringMatching(/^image +verdict +score +domain +regions$/),
      expect.stringMatching(/^images\/a\.jpg +no tampering detected +0\.93 +natural +-$/),
      expect.stringMatching(/^images\/more\/b\.PNG +tampered +0\.93 +natural +96×120\+412\+130$/),
    ]);
    const stored = (await readdir(join(folder, "results"), { recursive: true })).sort();
    expect(stored).toEqual(["a.jpg.probability.png", "more", "more/b.PNG.probability.png"]);
    expect(await readFile(join(folder, "results/a.jpg.probability.png"), "utf8")).toBe(file);
  });

  it("ends with 0 where nothing is found, in standard input too", async () => {
    const { status, stdout, stderr } = await omniIml(["analyze", "--json", "-"], "authentic");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject({ input: "-", analysis: { verdict: "no_tampering_detected" } });
  });

  it("sends an address as an address", async () => {
    const { status } = await omniIml(["analyze", "https://example.com/tampered.jpg", "--json"]);
    expect(status).toBe(1);
  });

  it("ends with 2 where an image cannot be analysed, and analyses the others", async () => {
    const { status, stdout } = await omniIml(["analyze", "--json", "broken.jpg", "images/more/b.PNG"]);
    expect(status).toBe(2);
    const lines = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.find(({ input }) => input === "broken.jpg")).toMatchObject({
      error: { problem: { code: "unsupported_media_type" } },
    });
    expect(lines.find(({ input }) => input !== "broken.jpg")).toMatchObject({ analysis: { verdict: "tampered" } });
  });

  it("cancels what is under way when it is interrupted", async () => {
    const { child, ended } = start(["analyze", "slow.jpg"]);
    await expect.poll(() => seen.some((request) => request.endsWith("/events")), { timeout: 20_000 }).toBe(true);
    child.kill("SIGINT");
    expect(await ended).toBe(130);
    expect(seen.at(-1)).toMatch(/^POST \/v1\/analyses\/an_\d+\/cancel$/);
  });

  it.each([
    [["analyze"], "takes files"],
    [["analyze", "nowhere.jpg"], "does not exist"],
    [["analyze", "images", "--threshold", "high"], "--threshold takes a number"],
    [["analyze", "images", "--treshold", "1"], "--treshold"],
    [["analyse"], "there is no command"],
    [["webhooks"], "webhooks takes listen"],
  ])("%j is refused with 2", async (args, words) => {
    const { status, stdout, stderr } = await omniIml(args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain(words);
    expect(seen).toEqual([]);
  });
});

describe("admin accounts change", () => {
  it.each([
    [["--retention", "2d"], { retention_s: 172_800 }],
    [["--retention", "default", "--monthly-quota", "5"], { retention_s: null, monthly_quota: 5 }],
    [["--enable"], { disabled: false }],
  ])("%j asks for that and nothing else", async (args, asked) => {
    const { status, stdout } = await omniIml(["admin", "accounts", "change", "ac_1", ...args]);
    expect({ status, stdout, change }).toEqual({ status: 0, stdout: "ac_1 was changed\n", change: asked });
    expect(seen).toEqual(["PATCH /v1/accounts/ac_1"]);
  });

  it("says which time is none", async () => {
    const { status, stderr } = await omniIml(["admin", "accounts", "change", "ac_1", "--retention", "soon"]);
    expect(status).toBe(2);
    expect(stderr).toContain("soon is no time");
  });
});

describe("webhooks listen", () => {
  const message = { type: "analysis.succeeded", timestamp: "2026-11-24T09:30:01.420Z", data: analysisExample };

  it("prints what it verified, hands it on, answers as that answers, and leaves no endpoint behind", async () => {
    const forwarded: { body: string; signature: unknown }[] = [];
    let answer = 200;
    const application = createServer(async (request, response) => {
      let body = "";
      for await (const chunk of request) body += chunk;
      forwarded.push({ body, signature: request.headers["webhook-signature"] });
      response.writeHead(answer).end();
    }).listen(0, "127.0.0.1");
    await expect.poll(() => application.address()).not.toBeNull();
    const address = application.address();
    if (address === null || typeof address === "string") throw new Error("the application has no port");
    const { child, output, ended } = start([
      "webhooks",
      "listen",
      "--forward",
      `http://127.0.0.1:${address.port}/hook`,
    ]);
    await expect.poll(() => output.stdout, { timeout: 20_000 }).toContain("webhook.test  wh_1");
    expect(output.stderr).toContain(secret);
    answer = 500;
    expect(await sendMessage(message)).toBe(500);
    expect(await sendMessage(message, newWebhookSecret())).toBe(400);
    expect(forwarded).toHaveLength(2);
    expect(forwarded[1]).toMatchObject({ body: JSON.stringify(message), signature: expect.stringMatching(/^v1,/) });
    expect(output.stdout).toContain(`analysis.succeeded  ${analysisExample.id}  tampered  0.93  → 500`);
    expect(output.stderr).toContain("refused what came");
    child.kill("SIGINT");
    expect(await ended).toBe(0);
    expect(seen.at(-1)).toBe("DELETE /v1/webhook-endpoints/wh_1");
    application.closeAllConnections();
    application.close();
  });

  it("says when messages do not arrive", async () => {
    const { status, stderr } = await omniIml(["webhooks", "listen", "--url", `${baseUrl}/v1/nowhere`]);
    expect(status).toBe(2);
    expect(stderr).toContain("a test message did not arrive");
    expect(seen.at(-1)).toBe("DELETE /v1/webhook-endpoints/wh_1");
  });
});
