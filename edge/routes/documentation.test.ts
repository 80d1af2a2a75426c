/** The API's description: deliberate, and true in its examples. */
import * as accounts from "@omni-iml/shared/accounts";
import * as analysis from "@omni-iml/shared/analysis";
import * as batches from "@omni-iml/shared/batches";
import * as erasure from "@omni-iml/shared/erasure";
import * as feedback from "@omni-iml/shared/feedback";
import * as indexRebuild from "@omni-iml/shared/index-rebuild";
import * as models from "@omni-iml/shared/models";
import * as playground from "@omni-iml/shared/playground";
import * as problems from "@omni-iml/shared/problems";
import * as shares from "@omni-iml/shared/shares";
import * as submission from "@omni-iml/shared/submission";
import * as uploads from "@omni-iml/shared/uploads";
import * as webhooks from "@omni-iml/shared/webhooks";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { request } from "../testing/client.ts";

const document = async () =>
  (await request(null, "/openapi.json")).json<{ openapi: string; paths: Record<string, Record<string, object>> }>();

describe("/openapi.json", () => {
  it("is what is committed as edge/openapi.json: a change of the API is deliberate (`npm run openapi`)", async () => {
    const described = await document();
    expect(described.openapi).toBe("3.1.0");
    await expect(`${JSON.stringify(described, null, 2)}\n`).toMatchFileSnapshot("../openapi.json");
  });

  it("names the Idempotency-Key at every POST but the session's, and a problem for every refusal", async () => {
    for (const [path, item] of Object.entries((await document()).paths)) {
      for (const [method, operation] of Object.entries(item)) {
        const text = JSON.stringify(operation);
        expect(text, `${method} ${path}`).toContain("application/problem+json");
        const keyed = method === "post" && path !== "/v1/playground/session";
        expect(text.includes('"idempotency-key"'), `${method} ${path}`).toBe(keyed);
      }
    }
  });

  it("names every operation, once, and the resource that it belongs to", async () => {
    const { paths } = await document();
    const operations = Object.values(paths).flatMap((item) => Object.values(item));
    const named = z.object({ operationId: z.string().regex(/^[a-z][a-zA-Z]+$/), tags: z.array(z.string()).length(1) });
    const names = operations.map((operation) => named.parse(operation).operationId);
    expect(names.length).toBeGreaterThan(40);
    expect(new Set(names).size).toBe(names.length);
  });

  it("has examples that fit their schemas", () => {
    const modules = [
      accounts,
      analysis,
      batches,
      erasure,
      feedback,
      indexRebuild,
      models,
      playground,
      problems,
      shares,
      submission,
      uploads,
      webhooks,
    ];
    let checked = 0;
    for (const schema of modules.flatMap((module) => Object.values(module))) {
      if (!(schema instanceof z.ZodType)) continue;
      const { example, id } = schema.meta() ?? {};
      if (example === undefined) continue;
      expect(schema.safeParse(example).error, String(id)).toBeUndefined();
      checked++;
    }
    expect(checked).toBeGreaterThan(10);
  });
});

describe("/docs", () => {
  it("shows every operation, and loads nothing but its style sheet", async () => {
    const response = await request(null, "/docs");
    expect(response.headers.get("content-type")).toBe("text/html; charset=UTF-8");
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    const page = await response.text();
    for (const [path, item] of Object.entries((await document()).paths)) {
      for (const method of Object.keys(item)) {
        expect(page).toContain(`<span class="method">${method}</span> <code>${path}</code>`);
      }
    }
    expect([...page.matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, address]) => address).sort()).toEqual([
      "/docs/style.css",
      "/openapi.json",
    ]);
    expect((await request(null, "/docs/style.css")).headers.get("content-type")).toBe("text/css");
  });
});
