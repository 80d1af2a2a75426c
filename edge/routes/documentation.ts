/** `/openapi.json`, `/docs`, and what the routes' descriptions share. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { type ProblemCode, problemDocument, problemKinds } from "@omni-iml/shared/problems";
import type { App } from "../middleware/app-types.ts";
import { referencePage, referenceStyle } from "./reference.ts";

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

export function registerDocumentation(app: OpenAPIHono<App>): void {
  app.openAPIRegistry.registerComponent("securitySchemes", "apiKey", {
    type: "http",
    scheme: "bearer",
    description: "An API key, `omni_live_…`.",
  });
  const document = () =>
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
    });
  app.get("/openapi.json", (context) => context.json(document()));
  app.get("/docs", (context) => context.html(referencePage(document())));
  app.get("/docs/style.css", (context) => context.body(referenceStyle, 200, { "content-type": "text/css" }));
}
