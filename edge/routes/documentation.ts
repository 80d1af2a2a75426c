/** `/openapi.json`, `/docs`, and what the routes' descriptions share. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { type ProblemCode, problemDocument, problemKinds } from "@omni-iml/shared/problems";
import type { App } from "../middleware/app-types.ts";
import { referencePage } from "./reference.ts";
import { referenceStyle } from "./reference-style.ts";

export const security: Record<string, string[]>[] = [{ apiKey: [] }];

type ProblemResponse = {
  description: string;
  content: { "application/problem+json": { schema: typeof problemDocument } };
};

/** Responses for these problems and those that every authenticated route can answer with, one entry a status. */
export function problems(...codes: ProblemCode[]): Record<`${4 | 5}${number}`, ProblemResponse> {
  const all: ProblemCode[] = [...codes, "unauthorized", "forbidden", "rate_limited", "internal_error"];
  const byStatus = new Map<number, string[]>();
  for (const code of all) {
    const { status, title } = problemKinds[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), `\`${code}\`: ${title}.`]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, lines]) => [
      status,
      { description: lines.join(" "), content: { "application/problem+json": { schema: problemDocument } } },
    ]),
  );
}

/** The resources, in the order in which a newcomer meets them, by the first segment of their paths below `/v1/`. */
const resources: Readonly<Record<string, { name: string; description: string }>> = {
  analyses: { name: "Analyses", description: "One image, and what was found in it." },
  uploads: { name: "Uploads", description: "Files too large for a request, put straight into storage." },
  batches: { name: "Batches", description: "Up to 1,000 images in one request." },
  "webhook-endpoints": { name: "Webhooks", description: "Who is told what happens, and what came of telling." },
  shared: { name: "Shared analyses", description: "What is shown to whoever has the link." },
  models: { name: "Models", description: "What is served." },
  usage: { name: "Usage", description: "What the account has used." },
  "api-keys": { name: "API keys", description: "The keys of the account, for keys with the scope `admin`." },
  accounts: { name: "Accounts", description: "For those who run this deployment." },
  index: { name: "Index", description: "For those who run this deployment." },
  playground: { name: "Playground", description: "For the service's own page." },
};

type Document = ReturnType<OpenAPIHono<App>["getOpenAPI31Document"]>;

/** Names at every operation the resource that it belongs to. */
function withTags(document: Document): Document {
  for (const [path, item] of Object.entries(document.paths ?? {})) {
    const resource = resources[path.split("/")[2] ?? ""];
    if (resource === undefined) throw new Error(`${path} belongs to no resource`);
    for (const method of ["get", "post", "patch", "delete"] as const) {
      const operation = item[method];
      if (operation) operation.tags = [resource.name];
    }
  }
  return { ...document, tags: Object.values(resources) };
}

export function registerDocumentation(app: OpenAPIHono<App>): void {
  app.openAPIRegistry.registerComponent("securitySchemes", "apiKey", {
    type: "http",
    scheme: "bearer",
    description: "An API key, `omni_live_…`.",
  });
  const document = () =>
    withTags(
      app.getOpenAPI31Document({
        openapi: "3.1.0",
        info: {
          title: "Omni-IML",
          version: "1.0.0",
          description:
            "Finds manipulated pixels in photographs, documents, faces and scene text. “No tampering detected” is not “authentic”.",
          license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
        },
        servers: [{ url: "/" }],
      }),
    );
  app.get("/openapi.json", (context) => context.json(document()));
  app.get("/docs", (context) => context.html(referencePage(document())));
  app.get("/docs/style.css", (context) => context.body(referenceStyle, 200, { "content-type": "text/css" }));
}
