/** `GET /v1/usage`: what the caller's account has used, by day. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { usage as usageSchema } from "@omni-iml/shared/accounts";
import { z } from "zod";
import type { App } from "../middleware/app-types.ts";
import { requireScope } from "../middleware/authentication.ts";
import { problems, security } from "./documentation.ts";
import { json } from "./json.ts";

const longestSpan = 366;
const daysBetween = (from: string, to: string) => (Date.parse(to) - Date.parse(from)) / 86_400_000;

const usage = createRoute({
  method: "get",
  path: "/v1/usage",
  operationId: "getUsage",
  summary: "What was used, by day",
  description: "Days are UTC. Without `from` and `to`: the current month.",
  security,
  request: {
    query: z
      .strictObject({ from: z.iso.date().optional(), to: z.iso.date().optional() })
      .transform(({ from, to }) => {
        const today = new Date().toISOString().slice(0, 10);
        return { from: from ?? `${(to ?? today).slice(0, 7)}-01`, to: to ?? today };
      })
      .refine(({ from, to }) => from <= to, { path: ["from"], error: "is after `to`" })
      .refine(({ from, to }) => daysBetween(from, to) <= longestSpan, {
        path: ["from"],
        error: `lies more than ${longestSpan} days before \`to\``,
      }),
  },
  middleware: requireScope("read"),
  responses: {
    200: { description: "The usage.", content: json(usageSchema) },
    ...problems("invalid_request"),
  },
});

export function registerUsage(app: OpenAPIHono<App>): void {
  app.openapi(usage, async (context) => {
    const { from, to } = context.req.valid("query");
    const { account, limits } = context.get("caller");
    return context.json(await context.env.ACCOUNTS.getByName(account).usage(limits, from, to), 200);
  });
}
