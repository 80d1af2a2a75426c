/** The package as it is published: built, packed, installed from the tarball, its types checked and its code run. */
import { execFile, spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { analysisExample } from "@omni-iml/shared/examples";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chromiumPath, launch } from "../test/playground/browser.ts";
import { build } from "./build/build.ts";

const run = promisify(execFile);
const tsc = join(createRequire(import.meta.url).resolve("typescript/package.json"), "../bin/tsc");
const consumer = `
import { type Analysis, isProblem, OmniIml, unwrapWebhook } from "@omni-iml/sdk";

export async function main(baseUrl: string): Promise<string> {
  const client = new OmniIml({ apiKey: "omni_test", baseUrl });
  const analysis: Analysis = await client.analyses.create({ image: new Blob(["image"]), options: { threshold: 0.4 } });
  const box: number = analysis.regions?.[0]?.bbox.width ?? 0;
  const map: string | undefined = analysis.files.probability?.url;
  // @ts-expect-error there is no such verdict
  if (analysis.verdict === "authentic") return "";
  // @ts-expect-error an image, an address or an upload is needed
  const nothing = () => client.analyses.create({});
  const refused = await client.analyses.retrieve("an_1").catch((error: unknown) => error);
  if (!isProblem(refused, "gone")) throw new Error("it should be gone");
  const code: "gone" = refused.code;
  return [analysis.verdict, box, typeof map, code, typeof nothing, typeof unwrapWebhook].join(" ");
}
`;

/** The same in every runtime: JSON and forms, a stream, a refusal, a signal, and a message's signature (docs/webhooks.md). */
const everywhere = `
export async function everywhere({ isProblem, OmniIml, unwrapWebhook }, baseUrl) {
  const { analyses } = new OmniIml({ apiKey: "omni_test", baseUrl });
  const made = await analyses.create({ image: new Blob(["image"]), filename: "photo.jpg", wait: 0 });
  const events = [];
  for await (const { event } of analyses.stream(made.id)) events.push(event);
  const refused = await analyses.retrieve("an_1").catch((error) => error);
  const stopped = await analyses.retrieve("an_silent", { signal: AbortSignal.timeout(100) }).catch(({ name }) => name);
  const body = '{"type":"webhook.test","timestamp":"2026-11-24T09:30:00.000Z","data":{"endpoint":"wh_01kaw4v3r8h7t2m9c5x1q6zd0e"}}';
  const headers = new Headers({
    "webhook-id": "ev_01kaw4v3r8h7t2m9c5x1q6zd0e",
    "webhook-timestamp": "1795512600",
    "webhook-signature": "v1,6lLLr+plJCCs0VRCSofiPoYQupjHLjc1eqFBpMPErNU=",
  });
  const { type } = await unwrapWebhook(body, headers, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 1795512600_000);
  return [made.verdict, events.join("+"), isProblem(refused, "gone"), stopped, type].join(" ");
}
`;
const answered = "tampered stage+end true TimeoutError webhook.test";

let folder: string;
let dist: string;
let server: Server;
let baseUrl: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "omni-iml-sdk-"));
  dist = join(folder, "dist");
  server = createServer(async (request, response) => {
    const path = request.url ?? "";
    const gone = { type: "", title: "", status: 410, code: "gone", detail: "", remedy: "", retryable: false };
    for await (const _ of request);
    if (request.method === "POST") response.writeHead(201).end(JSON.stringify(analysisExample));
    else if (path === "/page") response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html>");
    else if (path.endsWith(".js")) {
      const file = path === "/everywhere.js" ? join(folder, "project", path) : join(dist, path);
      response.writeHead(200, { "content-type": "text/javascript" }).end(await readFile(file));
    } else if (path.endsWith("/events")) {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write('event: stage\ndata: {"stage":"inference","progress":0.5,"attempt":1,"at":"now"}\n\n');
      response.end(`event: end\ndata: ${JSON.stringify(analysisExample)}\n\n`);
    } else if (!path.endsWith("/an_silent")) response.writeHead(410).end(JSON.stringify(gone));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  baseUrl = `http://127.0.0.1:${address.port}`;
  await build(dist);
  await run("npm", ["pack", dist, "--pack-destination", folder]);
  const [tarball] = (await readdir(folder)).filter((name) => name.endsWith(".tgz"));
  const project = join(folder, "project");
  await mkdir(project);
  await writeFile(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
  await writeFile(join(project, "consumer.ts"), consumer);
  await writeFile(join(project, "everywhere.js"), everywhere);
  const calls = `import * as sdk from "./node_modules/@omni-iml/sdk/index.js";
import { everywhere } from "./everywhere.js";
console.log(await everywhere(sdk, "${baseUrl}"));`;
  await writeFile(join(project, "main.js"), calls);
  await run("npm", ["install", "--offline", "--no-audit", "--no-fund", join(folder, tarball ?? "")], { cwd: project });
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true, force: true });
});

it("has no dependency, and nothing but code, declarations and what they say", async () => {
  const manifest = JSON.parse(await readFile(join(folder, "project/node_modules/@omni-iml/sdk/package.json"), "utf8"));
  expect(manifest).not.toHaveProperty("dependencies");
  expect(manifest).not.toHaveProperty("private");
  expect(await readdir(join(folder, "project/node_modules"))).toEqual([".bin", ".package-lock.json", "@omni-iml"]);
  const files = (await readdir(dist, { recursive: true })).filter((name) => name.includes("."));
  const others = files.filter((name) => !/\.(js|d\.ts)$/.test(name)).sort();
  expect(others).toEqual(["README.md", "package.json"]);
});

it("the library names no module of Node's, so that it runs in browsers, Workers, Bun and Deno", async () => {
  const modules = (await readdir(dist)).filter((name) => /\.(js|d\.ts)$/.test(name));
  expect(modules).toContain("index.js");
  for (const name of modules) {
    const imported = [...(await readFile(join(dist, name), "utf8")).matchAll(/(?:from|import) ?\(?"([^"]+)"/g)];
    expect(imported.map(([, path]) => path ?? "").filter((path) => !path.startsWith("./"))).toEqual([]);
  }
});

it("type-checks in another project, with a browser's types and with a worker's, and runs there", async () => {
  const cwd = join(folder, "project");
  const strict = ["--strict", "--exactOptionalPropertyTypes", "--skipLibCheck", "false", "--types", ""];
  for (const target of [
    ["--module", "nodenext", "--lib", "es2024,dom,dom.iterable"],
    ["--module", "esnext", "--moduleResolution", "bundler", "--lib", "es2024,webworker,webworker.iterable"],
  ]) {
    const { stdout } = await run(process.execPath, [tsc, ...target, ...strict, "consumer.ts"], { cwd }).catch(
      (error: { stdout: string }) => error,
    );
    expect(stdout).toBe("");
  }
  const script = `import("./consumer.js").then(async ({ main }) => console.log(await main("${baseUrl}")))`;
  const { stdout } = await run(process.execPath, ["-e", script], { cwd });
  expect(stdout.trim()).toBe("tampered 96 string gone function function");
});

describe("runs", () => {
  const here = (program: string) => spawnSync(program, ["--version"]).status === 0;

  const runtimes = [
    ["Node", process.execPath, []],
    ["Bun", "bun", ["run"]],
    ["Deno", "deno", ["run", "--allow-net", "--no-lock"]],
  ] as const;

  for (const [name, program, args] of runtimes) {
    it.skipIf(!here(program))(`in ${name}`, async () => {
      const { stdout } = await run(program, [...args, "main.js"], { cwd: join(folder, "project") });
      expect(stdout.trim()).toBe(answered);
    });
  }

  it.skipIf(chromiumPath === undefined)("in a browser", async () => {
    const browser = await launch();
    try {
      const page = await browser.newPage();
      await page.goto(`${baseUrl}/page`);
      const calls = `Promise.all([import("/index.js"), import("/everywhere.js")])
        .then(([sdk, { everywhere }]) => everywhere(sdk, location.origin))`;
      expect(await page.evaluate(calls)).toBe(answered);
    } finally {
      await browser.close();
    }
  });
});

it("brings the command", async () => {
  const { stdout } = await run("npx", ["--offline", "omni-iml", "--help"], { cwd: join(folder, "project") });
  expect(stdout).toContain("omni-iml analyze");
});
