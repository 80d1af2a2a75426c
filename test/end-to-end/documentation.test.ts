/**
 * Every command and snippet of the documentation, run as a reader runs it: a page's `sh` blocks from its top in one shell,
 * everything else on its own, in a folder with a `photo.jpg` and a `scan.tif`. Where a page names example.com there is a
 * server with some pictures, which takes messages, too. `curl` fails here where it is refused.
 */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../infra/local/ports.ts";
import { pages, repository, type Snippet, snippetsOf } from "../documentation/pages.ts";
import { LocalService, temporaryState } from "./local-service.ts";
import { type Bytes, photograph } from "./pictures.ts";

const run = promisify(execFile);
/** What is not for running. */
const shown = ["text", "json", "jsonc"];
/** Run by test/documentation/verification.test.ts, where their interpreters are. */
const verified = ["go", "php", "ruby"];

let service: LocalService;
let state: Awaited<ReturnType<typeof temporaryState>>;
let example: Server;
let exampleUrl: string;
let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "omni-iml-reader-"));
  const pictures = new Map<string, Bytes>();
  for (const name of ["/1.jpg", "/2.jpg", "/photo.jpg"]) pictures.set(name, await photograph(160, 120));
  example = createServer((request, response) => {
    request.resume();
    if (request.method === "POST") response.writeHead(204).end();
    else response.writeHead(pictures.has(request.url ?? "") ? 200 : 404).end(pictures.get(request.url ?? ""));
  }).listen(0, "127.0.0.1");
  await once(example, "listening");
  const address = example.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  exampleUrl = `http://127.0.0.1:${address.port}`;
  state = await temporaryState();
  service = await LocalService.start(state.path, await freePort(), { EGRESS_ALLOW_LOOPBACK: "1" });
});
afterAll(async () => {
  await service?.interrupt();
  await state[Symbol.asyncDispose]();
  example.closeAllConnections();
  example.close();
  await rm(root, { recursive: true, force: true });
});

/** A reader's folder for one page. */
async function folderFor(page: string): Promise<string> {
  const folder = join(root, page.replaceAll("/", "-"));
  await mkdir(folder);
  await writeFile(join(folder, "package.json"), '{"type":"module"}');
  await symlink(join(repository, "node_modules"), join(folder, "node_modules"));
  await symlink(join(repository, "infra"), join(folder, "infra"));
  await writeFile(join(folder, "photo.jpg"), await photograph(320, 240));
  await writeFile(
    join(folder, "scan.tif"),
    await sharp(await photograph(200, 150))
      .tiff()
      .toBuffer(),
  );
  return folder;
}

/** With the addresses of this run. */
function here({ code }: Snippet): string {
  return code.replaceAll("https://example.com", exampleUrl).replaceAll("http://127.0.0.1:8787", service.baseUrl);
}

async function execute(folder: string, program: string, args: string[]): Promise<string> {
  const environment = {
    ...process.env,
    API: service.baseUrl,
    KEY: service.apiKey,
    AUTH: `Authorization: Bearer ${service.apiKey}`,
    OMNI_IML_KEY: service.apiKey,
    OMNI_IML_URL: service.baseUrl,
  };
  const { stdout, stderr } = await run(program, args, { cwd: folder, env: environment, maxBuffer: 2 ** 26 });
  return stdout + stderr;
}

async function runShell(folder: string, snippets: readonly Snippet[]): Promise<void> {
  const script = [
    "set -euo pipefail",
    'curl() { command curl --fail-with-body "$@"; }',
    // The last of these in an error's output is where it happened.
    ...snippets.flatMap((snippet) => [`echo "# ${snippet.place}" >&2`, here(snippet)]),
  ];
  await writeFile(join(folder, "page.sh"), script.join("\n"));
  const output = await execute(folder, "bash", ["page.sh"]);
  // What the snippets about the command say where something went wrong.
  expect(output).not.toContain("status 2");
}

async function runProgram(folder: string, snippet: Snippet): Promise<void> {
  const file = `snippet.${snippet.place.replace(/^.*:/, "")}.${snippet.language}`;
  await writeFile(join(folder, file), here(snippet));
  if (snippet.language === "python") await execute(folder, "python3", [file]);
  else await execute(folder, process.execPath, [file]);
}

describe.each(pages)("%s", (page) => {
  const snippets = snippetsOf(page).filter(
    ({ language, elsewhere }) => elsewhere === null && !shown.includes(language) && !verified.includes(language),
  );
  const shell = snippets.filter(({ language }) => language === "sh");
  const programs = snippets.filter(({ language }) => language !== "sh");

  it.runIf(snippets.length > 0)("does what it shows", async () => {
    const folder = await folderFor(page);
    if (shell.length > 0) await runShell(folder, shell);
    for (const program of programs) await runProgram(folder, program);
  });
});

it("TypeScript on all pages fits the client's types", async () => {
  const folder = await folderFor("types");
  const options = {
    ...{
      target: "ES2024",
      module: "NodeNext",
      moduleDetection: "force",
      strict: true,
      noEmit: true,
      skipLibCheck: true,
    },
    ...{ types: ["node"], allowImportingTsExtensions: true },
  };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: options, include: ["*.ts"] }));
  const snippets = pages.flatMap(snippetsOf).filter(({ language }) => language === "ts");
  expect(snippets.length).toBeGreaterThan(4);
  for (const { place, code } of snippets) {
    await writeFile(join(folder, `${place.replaceAll(/[/:.]/g, "-")}.ts`), code);
  }
  await execute(folder, join(repository, "node_modules/.bin/tsc"), ["--project", folder]).catch((error) => {
    throw new Error(String(error.stdout));
  });
});
