/**
 * Whatever takes over a process in a container finds itself without rights, what is installed is what was reviewed, and
 * what is broken shows itself in the build or to whoever runs it.
 */
import { execFileSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { z } from "zod";
import { repository } from "./local/stack.ts";

const read = (path: string) => readFileSync(join(repository, path), "utf8");

const { packages } = z
  .object({
    packages: z.record(
      z.string(),
      z.object({
        version: z.string().optional(),
        integrity: z.string().optional(),
        resolved: z.string().optional(),
        link: z.boolean().optional(),
        hasInstallScript: z.boolean().optional(),
      }),
    ),
  })
  .parse(JSON.parse(read("package-lock.json")));

describe.each(globSync("infra/*.Dockerfile", { cwd: repository }))("%s", (path) => {
  /** Of each stage, its lines. */
  const stages = read(path).split(/^(?=FROM )/m);
  const started = stages.filter((stage) => /^(CMD|ENTRYPOINT) /m.test(stage));

  it("starts nothing as root", () => {
    expect(started.length).toBeGreaterThan(0);
    for (const stage of started) {
      const user = [...stage.matchAll(/^USER (\d+):(\d+)$/gm)].at(-1);
      expect(Number(user?.[1])).toBeGreaterThan(0);
      expect(Number(user?.[2])).toBeGreaterThan(0);
    }
  });

  it("tells whether what it started is well", () => {
    for (const stage of started) expect(stage).toMatch(/^HEALTHCHECK .*\\\n\s+CMD .*\/(healthz|readyz)`/m);
  });

  it("installs npm packages by the lock file alone", () => {
    expect(read(path)).toContain("npm ci");
    expect(read(path)).not.toMatch(/npm (install|i|add|update)\b/);
  });

  it("is built on images of one version, and on the Node that everything is tested with", () => {
    const text = read(path);
    const set = new Map([...text.matchAll(/^ARG (\w+)=(\S+)$/gm)].map(([, name = "", value = ""]) => [name, value]));
    expect(set.get("NODE_VERSION")).toBe(packages["node_modules/node"]?.version);
    const froms = [...text.matchAll(/^FROM (\S+)(?: AS (\S+))?$/gm)];
    const stages = new Set(["scratch", ...froms.map(([, , stage]) => stage)]);
    const images = froms
      .map(([, image = ""]) => image.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => set.get(name) ?? ""))
      .filter((image) => !stages.has(image));
    expect(images.length).toBeGreaterThan(0);
    for (const image of images) expect(image).toMatch(/:\d+\.\d+\.\d+-[\w.-]+$/);
  });
});

describe("dependencies", () => {
  const installed = Object.entries(packages).filter(([path]) => path.includes("node_modules/"));

  it("are what was reviewed, byte for byte: each has one version and the hash of its archive", () => {
    const others = installed.filter(([, { link, version, integrity, resolved }]) => {
      if (link === true) return false;
      const fromRegistry = resolved === undefined || resolved.startsWith("https://registry.npmjs.org/");
      return !fromRegistry || !/^\d+\.\d+\.\d+/.test(version ?? "") || !/^sha512-\S{88}$/.test(integrity ?? "");
    });
    expect(others.map(([path]) => path)).toEqual([]);
  });

  it("run no script when they are installed but those that were looked at", () => {
    const { allowScripts } = z
      .object({ allowScripts: z.record(z.string(), z.boolean()) })
      .parse(JSON.parse(read("package.json")));
    const names = installed.flatMap(([path, { hasInstallScript }]) =>
      hasInstallScript === true ? [path.replace(/^.*node_modules\//, "")] : [],
    );
    expect([...new Set(names)].toSorted()).toEqual(Object.keys(allowScripts).toSorted());
  });

  it.each(globSync("**/requirements.txt", { cwd: repository, exclude: ["**/node_modules/**", "**/.venv/**"] }))(
    "%s names one version of each",
    (path) => {
      const lines = read(path)
        .split("\n")
        .filter((line) => line.trim() !== "" && !line.startsWith("#"));
      expect(lines.length).toBeGreaterThan(0);
      for (const line of lines) expect(line).toMatch(/^[\w.-]+(\[[\w,-]+\])?==[\w.]+$/);
    },
  );

  it("are listed with their licences by `npm run sbom`", () => {
    const text = execFileSync("npm", ["run", "--silent", "sbom"], { cwd: repository, encoding: "utf8", stdio: "pipe" });
    const { specVersion, components } = z
      .object({
        specVersion: z.string(),
        components: z.array(
          z.object({ name: z.string(), version: z.string(), licenses: z.array(z.unknown()).default([]) }),
        ),
      })
      .parse(JSON.parse(text));
    const ours = ["edge", "gpu-runner", "sdk", "shared"];
    const listed = components.filter(({ name }) => !ours.includes(name));
    const known = installed
      .filter(([, { link }]) => link !== true)
      .map(([path]) => path.replace(/^.*node_modules\//, ""));
    expect(new Set(listed.map(({ name }) => name))).toEqual(new Set(known));
    // Its LICENSE file says MIT, its package.json nothing.
    expect(listed.filter(({ licenses }) => licenses.length === 0).map(({ name }) => name)).toEqual(["png-js"]);
    const said = /writes CycloneDX ([\d.]+): (\d+) components/.exec(read("docs/security.md"));
    expect(said?.slice(1)).toEqual([specVersion, String(components.length)]);
  });
});

describe("infra/gpu-runner.Dockerfile", () => {
  const text = read("infra/gpu-runner.Dockerfile");
  const started = text.split(/^(?=FROM )/m).filter((stage) => /^CMD /m.test(stage));

  it("has a build for CUDA and one for CPUs, each of which stops where a native library lacks another", () => {
    expect(started.map((stage) => / AS (\w+)$/m.exec(stage)?.[1])).toEqual(["cpu", "cuda"]);
    for (const stage of started) {
      expect(stage).toMatch(
        /missing-libraries node_modules\/onnxruntime-node\/bin\/napi-v\d\/linux\/x64 node_modules\/@img$/m,
      );
    }
  });

  it("takes the CUDA provider of the onnxruntime that is installed", () => {
    const { version } = packages["node_modules/onnxruntime-node"] ?? {};
    expect(text).toContain(`ARG ONNXRUNTIME_VERSION=${version}\n`);
  });

  it("computes without TF32, whichever of NVIDIA's libraries does it", () => {
    expect(started[1]).toContain("NVIDIA_TF32_OVERRIDE=0");
  });
});

const composeService = z.object({
  user: z.string().optional(),
  privileged: z.literal(false).optional(),
  read_only: z.literal(true),
  cap_drop: z.tuple([z.literal("ALL")]),
  cap_add: z.undefined().optional(),
  security_opt: z.array(z.string()),
  image: z.string(),
});

it("compose: no service writes to its root file system, has a capability or can get one", () => {
  const { services } = z
    .object({ services: z.record(z.string(), composeService) })
    .parse(parse(read("compose.yaml"), { merge: true }));
  for (const { user, security_opt } of Object.values(services)) {
    expect(security_opt).toContain("no-new-privileges:true");
    expect(user ?? "1000").not.toMatch(/^(0|root)\b/);
  }
});

const container = z.object({
  image: z.string(),
  securityContext: z.object({
    allowPrivilegeEscalation: z.literal(false),
    readOnlyRootFilesystem: z.literal(true),
    capabilities: z.object({ drop: z.tuple([z.literal("ALL")]) }),
    runAsUser: z.int().min(1).optional(),
  }),
});
const workload = z.object({
  kind: z.enum(["Deployment", "StatefulSet", "DaemonSet", "Job"]),
  spec: z.object({
    template: z.object({
      spec: z.object({
        securityContext: z.object({
          runAsNonRoot: z.literal(true),
          runAsUser: z.int().min(1),
          seccompProfile: z.object({ type: z.literal("RuntimeDefault") }),
        }),
        containers: z.array(container).min(1),
        initContainers: z.array(container).optional(),
      }),
    }),
  }),
});

describe("Kubernetes", () => {
  const documents = globSync("infra/kubernetes/base/*.yaml", { cwd: repository }).flatMap((path) =>
    parseAllDocuments(read(path)).map((document): unknown => document.toJS()),
  );
  const withPods = documents.filter(
    (one) => z.object({ spec: z.object({ template: z.object({ spec: z.unknown() }) }) }).safeParse(one).success,
  );

  it("no workload runs as root or can become it", () => {
    expect(withPods.length).toBeGreaterThanOrEqual(3);
    for (const one of withPods) workload.parse(one);
  });

  const named = z.object({ kind: z.string(), metadata: z.object({ name: z.string() }), spec: z.unknown() });
  /** The `spec` of every resource of a kind, by name. */
  const specsOf = (kind: string) =>
    new Map(
      documents.flatMap((one) => {
        const { success, data } = named.safeParse(one);
        return success && data.kind === kind ? [[data.metadata.name, data.spec] as const] : [];
      }),
    );
  const deployments = [...specsOf("Deployment").keys()].toSorted();
  const app = z.object({ matchLabels: z.object({ app: z.string() }) });

  it("a drain of nodes never takes all of anything at once", () => {
    const budgets = [...specsOf("PodDisruptionBudget").values()].map(
      (spec) => z.object({ selector: app }).parse(spec).selector.matchLabels.app,
    );
    expect(budgets.toSorted()).toEqual(deployments);
  });

  it("nothing passes the network but what is named, for each workload", () => {
    const policies = [...specsOf("NetworkPolicy").values()].map((spec) =>
      z
        .object({ podSelector: z.union([app, z.strictObject({})]), policyTypes: z.array(z.string()) })
        .loose()
        .parse(spec),
    );
    const closed = policies.find((policy) => !("ingress" in policy || "egress" in policy));
    expect(closed).toMatchObject({ podSelector: {}, policyTypes: ["Ingress", "Egress"] });
    const own = policies.flatMap(({ podSelector }) =>
      "matchLabels" in podSelector ? podSelector.matchLabels.app : [],
    );
    expect(own.toSorted()).toEqual(deployments);
  });

  it("a runner asks for one GPU, and on nodes without for none; KEDA scales it by its own queue", () => {
    const runner = z.object({
      spec: z.object({
        containers: z.tuple([
          z.object({
            env: z.array(z.object({ name: z.string(), value: z.string().optional() })),
            resources: z.object({ requests: z.looseObject({}), limits: z.looseObject({}) }),
          }),
        ]),
        tolerations: z.array(z.object({ key: z.string() })),
      }),
    });
    const { template } = z.object({ template: runner }).parse(specsOf("Deployment").get("omni-runner"));
    const [{ env, resources }] = template.spec.containers;
    expect([resources.requests["nvidia.com/gpu"], resources.limits["nvidia.com/gpu"]]).toEqual(["1", "1"]);
    // Patches name an entry by its place.
    expect(env[1]).toEqual({ name: "PROVIDER", value: "cuda" });
    const { patches } = z
      .object({ patches: z.tuple([z.object({ patch: z.string() })]) })
      .parse(parse(read("infra/kubernetes/overlays/cpu/kustomization.yaml")));
    const operations = z
      .array(z.object({ op: z.string(), path: z.string(), value: z.unknown().optional() }))
      .parse(parse(patches[0].patch));
    const container = "/spec/template/spec/containers/0";
    expect(operations).toContainEqual({ op: "replace", path: `${container}/env/1/value`, value: "cpu" });
    expect(JSON.stringify(operations.find(({ path }) => path === `${container}/resources`))).not.toContain("gpu");
    const scaled = z
      .object({
        scaleTargetRef: z.object({ name: z.string() }),
        triggers: z.array(z.object({ metadata: z.object({ query: z.string() }) })),
      })
      .parse(specsOf("ScaledObject").get("omni-runner"));
    expect(scaled.scaleTargetRef.name).toBe("omni-runner");
    expect(scaled.triggers[0]?.metadata.query).toContain("omni_runner_queue_pixels");
    // What KEDA decides a Deployment must not decide as well.
    expect(specsOf("Deployment").get("omni-runner")).not.toHaveProperty("replicas");
  });

  it("runners have longer to end than they let running analyses have", () => {
    const { template } = z
      .object({
        template: z.object({
          spec: z.object({
            terminationGracePeriodSeconds: z.number(),
            containers: z.array(
              z.object({ env: z.array(z.object({ name: z.string(), value: z.string().optional() })) }),
            ),
          }),
        }),
      })
      .parse(specsOf("Deployment").get("omni-runner"));
    const drain = template.spec.containers[0]?.env.find(({ name }) => name === "DRAIN_SECONDS");
    expect(template.spec.terminationGracePeriodSeconds).toBeGreaterThan(Number(drain?.value));
  });

  it("the runner's image is the one that the page has built", () => {
    const { images } = z
      .object({ images: z.tuple([z.object({ newName: z.string(), newTag: z.string() })]) })
      .parse(parse(read("infra/kubernetes/base/kustomization.yaml")));
    const [{ newName, newTag }] = images;
    expect(read("infra/README.md")).toContain(`-t REGISTRY/${newName.split("/").at(-1)}:${newTag} .`);
  });

  it("no image of another's is whatever is newest", () => {
    const images = withPods.flatMap((one) =>
      workload.parse(one).spec.template.spec.containers.map(({ image }) => image),
    );
    const { services } = z
      .object({ services: z.record(z.string(), z.object({ image: z.string(), build: z.unknown().optional() })) })
      .parse(parse(read("compose.yaml"), { merge: true }));
    const pulled = Object.values(services).flatMap(({ image, build }) => (build === undefined ? [image] : []));
    for (const image of [...images.filter((name) => name.includes("/")), ...pulled]) {
      expect(image).toMatch(/:[a-z-]*v?\d+\.\d+\.\d+$/);
    }
  });
});

it("the platform logs what the worker writes, and no addresses of its own accord", () => {
  const [, ...sections] = read("wrangler.toml").split(/^(?=\[)/m);
  const settings = (name: string) => sections.find((section) => section.startsWith(`[${name}]\n`));
  expect(settings("observability")).toMatch(/^redact_query_string = true$/m);
  expect(settings("observability.logs")).toMatch(/^invocation_logs = false$/m);
  expect(settings("observability.traces")).toMatch(/^enabled = false$/m);
});

describe("Terraform", () => {
  const text = read("infra/terraform/secrets.tf");
  const tokens = new Map(
    [...text.matchAll(/^resource "cloudflare_account_token" "(\w+)" \{\n(.*?)^\}/gms)].map(
      ([, name = "", body = ""]) => [name, body],
    ),
  );
  const allowed = (name: string) =>
    [...(tokens.get(name) ?? "").matchAll(/local\.permissions\["([^@"]+)@\$\{local\.(\w+)\}"\]/g)].map(
      ([, permission, scope]) => `${permission}, ${scope}`,
    );

  it("makes two tokens: one for the objects of this bucket alone, one that deploys and reads no object", () => {
    expect([...tokens.keys()].toSorted()).toEqual(["deploy", "storage"]);
    expect(allowed("storage")).toEqual([
      "Workers R2 Storage Bucket Item Read, bucket",
      "Workers R2 Storage Bucket Item Write, bucket",
    ]);
    // biome-ignore lint/suspicious/noTemplateCurlyInString: Terraform's, not JavaScript's
    const bucket = "${local.bucket}.${var.account_id}_default_${cloudflare_r2_bucket.images.name}";
    expect(tokens.get("storage")).toContain(`resources = jsonencode({\n      "${bucket}" = "*"\n    })`);
    expect(allowed("deploy")).toEqual(["Workers Scripts Write, account", "D1 Write, account", "Queues Write, account"]);
    for (const body of tokens.values()) expect(body.match(/permission_groups = /g)).toHaveLength(1);
  });

  it("gives the worker the token of the storage, and to what deploys its own, not an administrator's", () => {
    const worker = read("infra/terraform/worker.tf");
    expect(worker).toMatch(/S3_ACCESS_KEY_ID\s+= cloudflare_account_token\.storage\.id\n/);
    expect(worker).toMatch(/CLOUDFLARE_API_TOKEN\s+= cloudflare_account_token\.deploy\.value\n/);
  });

  it("holds no secret in its files, and keeps those that it writes from git and from other users", () => {
    const files = globSync("infra/terraform/*.tf", { cwd: repository }).map(read).join("\n");
    expect(files).not.toMatch(/(secret|token|password)\w*\s*=\s*"[^"$]/i);
    const written = [
      ...files.matchAll(/resource "local_sensitive_file".*?filename\s+= "\$\{local\.root\}\/([^"]+)".*?"(\d+)"/gs),
    ];
    expect(written.map(([, , mode]) => mode)).toEqual(["0600", "0600"]);
    for (const [, name = ""] of written)
      expect(() => execFileSync("git", ["check-ignore", "-q", name], { cwd: repository })).not.toThrow();
  });
});
