/** `/v1/uploads`: files too large for a request, put straight into storage. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { idSchema, newId } from "@omni-iml/shared/ids";
import { Problem } from "@omni-iml/shared/problems";
import { newUpload, type Upload, upload } from "@omni-iml/shared/uploads";
import { z } from "zod";
import { type Environment, settings } from "../environment.ts";
import { idempotencyHeader, once } from "../idempotency/once.ts";
import type { App } from "../middleware/app-types.ts";
import { requireScope } from "../middleware/authentication.ts";
import { jsonBody } from "../middleware/json-body.ts";
import { signedPut, uploadKey } from "../storage/objects.ts";
import type { UploadSnapshot } from "../uploads/upload-object.ts";
import { problems, security } from "./documentation.ts";
import { hashOf, json, noQuery } from "./json.ts";

const uploadPath = z.strictObject({ id: idSchema("upload") });
const resource = json(upload);
const longestBody = 16 * 1024;

const create = createRoute({
  method: "post",
  path: "/v1/uploads",
  operationId: "createUpload",
  summary: "Announce a file",
  description:
    "For images of up to 200 MB. PUT the file to `put.url` with `put.headers`, then send its id as `upload_id` to " +
    "`POST /v1/analyses` or in a batch. It is used once and erased after 24 hours if it is not.",
  security,
  request: {
    query: noQuery,
    headers: idempotencyHeader,
    body: { required: true, content: json(newUpload) },
  },
  middleware: [requireScope("write"), jsonBody(longestBody)] as const,
  responses: {
    201: { description: "The upload, waiting for its file.", content: resource },
    ...problems("invalid_request", "gone", "idempotency_key_reused"),
  },
});

const read = createRoute({
  method: "get",
  path: "/v1/uploads/{id}",
  operationId: "getUpload",
  summary: "Read an upload",
  security,
  request: { params: uploadPath, query: noQuery },
  middleware: requireScope("read"),
  responses: {
    200: { description: "The upload; its address is signed anew.", content: resource },
    ...problems("invalid_request", "not_found", "gone"),
  },
});

const erase = createRoute({
  method: "delete",
  path: "/v1/uploads/{id}",
  operationId: "deleteUpload",
  summary: "Erase an upload",
  description: "Deletes the file. An analysis that it has become is not touched.",
  security,
  request: { params: uploadPath, query: noQuery },
  middleware: requireScope("write"),
  responses: { 204: { description: "Erased." }, ...problems("invalid_request", "not_found") },
});

/** The caller's upload, or the problem to answer with. */
function found(id: string, snapshot: UploadSnapshot | null): UploadSnapshot {
  if (snapshot === null) throw new Problem("not_found", `There is no upload ${id}.`);
  if (snapshot.erased) throw new Problem("gone", `The upload ${id} has expired or was deleted.`);
  if (snapshot.expired && snapshot.analysis === null) throw new Problem("gone", `The upload ${id} has expired.`);
  return snapshot;
}

/** The resource, its PUT address signed now. */
async function present(env: Environment, snapshot: UploadSnapshot): Promise<Upload> {
  const { id, account, bytes, contentType, filename, createdAt, expiresAt, analysis } = snapshot;
  const key = uploadKey(account, id);
  const stored = analysis === null ? await env.STORAGE.head(key) : null;
  const limits = settings(env);
  const lifetime = Math.min(limits.UPLOAD_URL_S, expiresAt - Date.now());
  const put = analysis === null && {
    url: await signedPut(limits, key, lifetime, { bytes, contentType }),
    headers: { "content-type": contentType, "content-length": String(bytes) },
    expires_at: new Date(Date.now() + lifetime).toISOString(),
  };
  return {
    id,
    object: "upload",
    status: analysis !== null ? "used" : stored === null ? "pending" : "uploaded",
    created_at: new Date(createdAt).toISOString(),
    expires_at: new Date(expiresAt).toISOString(),
    bytes,
    content_type: contentType,
    filename,
    put: put || null,
    analysis,
  };
}

export function registerUploads(app: OpenAPIHono<App>): void {
  app.openapi(create, async (context) => {
    const { env } = context;
    const { account } = context.get("caller");
    const sent = context.req.valid("json");
    const payload = await hashOf(sent);
    const made = await once(
      context,
      payload,
      () => newId("upload"),
      (id) =>
        env.UPLOADS.getByName(id).create({
          id,
          account,
          bytes: sent.bytes,
          contentType: sent.content_type,
          filename: sent.filename ?? null,
        }),
      async (id) => (await env.UPLOADS.getByName(id).read(account))?.erased === false,
    );
    const { id } = made;
    const snapshot = found(id, made.created ?? (await env.UPLOADS.getByName(id).read(account)));
    context.header("location", `/v1/uploads/${id}`);
    return context.json(await present(env, snapshot), 201);
  });

  app.openapi(read, async (context) => {
    const { id } = context.req.valid("param");
    const snapshot = found(id, await context.env.UPLOADS.getByName(id).read(context.get("caller").account));
    return context.json(await present(context.env, snapshot), 200);
  });

  app.openapi(erase, async (context) => {
    const { id } = context.req.valid("param");
    const known = await context.env.UPLOADS.getByName(id).erase(context.get("caller").account);
    if (!known) throw new Problem("not_found", `There is no upload ${id}.`);
    return context.body(null, 204);
  });
}
