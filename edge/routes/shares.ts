/** Sharing an analysis by a link that can be revoked, and reading what was shared. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { analysis } from "@omni-iml/shared/analysis";
import { Problem } from "@omni-iml/shared/problems";
import { analysisOfToken, type Share, share, shareToken } from "@omni-iml/shared/shares";
import type { Context } from "hono";
import { z } from "zod";
import { type AnalysisSnapshot, present } from "../analysis/snapshot.ts";
import { settings } from "../environment.ts";
import { idempotencyHeader, once } from "../idempotency/once.ts";
import type { App } from "../middleware/app-types.ts";
import { requireScope } from "../middleware/authentication.ts";
import { limitAddress } from "../sessions/playground-session.ts";
import { inputKey, signedGet } from "../storage/objects.ts";
import { analysisPath, found, object } from "./analysis-path.ts";
import { problems, security } from "./documentation.ts";
import { json, noQuery } from "./json.ts";

const sharedPath = z.strictObject({ token: shareToken });
/** Milliseconds for which the address is good that leads to an input; it is fetched at once. */
const inputAddressLife = 60_000;

const create = createRoute({
  method: "post",
  path: "/v1/analyses/{id}/share",
  operationId: "shareAnalysis",
  summary: "Share an analysis",
  description:
    "A link by which anybody who has it can see the image and what was found, without your metadata, file name and " +
    "feedback. Asked again, it answers the same link. It ends with `DELETE`, and with the analysis.",
  security,
  request: { params: analysisPath, query: noQuery, headers: idempotencyHeader },
  middleware: requireScope("write"),
  responses: {
    200: { description: "The link.", content: json(share) },
    ...problems("invalid_request", "not_found", "gone", "idempotency_key_reused"),
  },
});

const revoke = createRoute({
  method: "delete",
  path: "/v1/analyses/{id}/share",
  operationId: "stopSharingAnalysis",
  summary: "Stop sharing an analysis",
  description: "The link that there was, if any, answers 404 from now on; sharing again makes another one.",
  security,
  request: { params: analysisPath, query: noQuery },
  middleware: requireScope("write"),
  responses: { 204: { description: "It is not shared." }, ...problems("invalid_request", "not_found", "gone") },
});

const input = createRoute({
  method: "get",
  path: "/v1/analyses/{id}/input",
  operationId: "getAnalysisInput",
  summary: "Fetch the image that was analysed",
  description: "Redirects to storage, as long as the image is kept there.",
  security,
  request: { params: analysisPath, query: noQuery },
  middleware: requireScope("read"),
  responses: {
    302: { description: "The address of the image, good for a minute." },
    ...problems("invalid_request", "not_found", "gone"),
  },
});

const readShared = createRoute({
  method: "get",
  path: "/v1/shared/{token}",
  operationId: "getSharedAnalysis",
  summary: "Read a shared analysis",
  description: "Needs no key. What is the owner's own is left out: metadata, file name and feedback.",
  security: [],
  request: { params: sharedPath, query: noQuery },
  responses: {
    200: { description: "The analysis.", content: json(analysis) },
    ...problems("invalid_request", "not_found"),
  },
});

const sharedInput = createRoute({
  method: "get",
  path: "/v1/shared/{token}/input",
  operationId: "getSharedInput",
  summary: "Fetch the image of a shared analysis",
  description: "Needs no key. Redirects to storage, as long as the image is kept there.",
  security: [],
  request: { params: sharedPath, query: noQuery },
  responses: {
    302: { description: "The address of the image, good for a minute." },
    ...problems("invalid_request", "not_found", "gone"),
  },
});

/** Redirects to the image itself. */
async function redirectToInput(context: Context<App>, { id, account, input: sent }: AnalysisSnapshot) {
  const { env } = context;
  const key = inputKey(account, id);
  if ((await env.STORAGE.head(key)) === null) throw new Problem("gone", "The image is no longer kept.");
  const url = await signedGet(settings(env), key, inputAddressLife, { contentType: sent.content_type, fileName: id });
  return context.redirect(url, 302);
}

/** The analysis behind a token. Whatever is wrong with the token is answered in the same words. */
async function shared(context: Context<App>, token: string): Promise<AnalysisSnapshot> {
  const id = analysisOfToken(token);
  const snapshot = id === null ? null : await object(context.env, id).readShared(token);
  if (snapshot !== null) return snapshot;
  await limitAddress(context.env.FAILED_AUTHENTICATION, context.req.raw, "requests for what is not shared");
  throw new Problem("not_found", "Nothing is shared by this link: it was revoked, or its analysis was deleted.");
}

/** Before the authentication: the token is what is shown. */
export function registerShared(app: OpenAPIHono<App>): void {
  app.openapi(readShared, async (context) => {
    const snapshot = await shared(context, context.req.valid("param").token);
    const own = { metadata: {}, feedback: null, input: { ...snapshot.input, filename: null } };
    return context.json(await present({ ...snapshot, ...own }, settings(context.env)), 200);
  });
  app.openapi(sharedInput, async (context) =>
    redirectToInput(context, await shared(context, context.req.valid("param").token)),
  );
}

export function registerShares(app: OpenAPIHono<App>): void {
  app.openapi(create, async (context) => {
    const { id } = context.req.valid("param");
    const { account } = context.get("caller");
    const link = async (): Promise<Share> => {
      const { expiresAt } = found(id, await object(context.env, id).read(account));
      const token = await object(context.env, id).share(account);
      if (token === null) throw new Problem("gone", `The analysis ${id} was deleted.`);
      return {
        object: "share",
        token,
        url: `/#/shared/${token}`,
        expires_at: expiresAt === null ? null : new Date(expiresAt).toISOString(),
      };
    };
    const { created } = await once(context, "", () => id, link);
    // Asked again, it is the same link; and where that was revoked, the key stands for nothing that there still is.
    return context.json(created ?? (await link()), 200);
  });
  app.openapi(revoke, async (context) => {
    const { id } = context.req.valid("param");
    const { account } = context.get("caller");
    found(id, await object(context.env, id).read(account));
    await object(context.env, id).unshare(account);
    return context.body(null, 204);
  });
  app.openapi(input, async (context) => {
    const { id } = context.req.valid("param");
    return redirectToInput(context, found(id, await object(context.env, id).read(context.get("caller").account)));
  });
}
