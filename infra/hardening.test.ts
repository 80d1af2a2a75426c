/** Whatever takes over a process in a container finds itself without rights, and what is installed is what was reviewed. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { z } from "zod";
import { repository } from "./local/stack.ts";

const read = (path: string) => readFileSync(join(repository, path), "utf8");

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

  it("installs npm packages by the lock file alone", () => {
    expect(read(path)).toContain("npm ci");
    expect(read(path)).not.toMatch(/npm (install|i|add|update)\b/);
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
