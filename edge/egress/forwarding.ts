/**
 * What crosses the boundary between the worker and its egress proxy (infra/egress-proxy): `POST /v1/forward`, signed as
 * requests to the runner are (shared/signature.ts).
 *
 * The proxy makes one request and follows no redirect. It answers 200 with the target's status and some of its headers
 * in headers of its own and the target's body as its body, or 502 with a {@link forwardFailure} where there is no answer.
 */
import { z } from "zod";

export const forwardPath = "/v1/forward";
export const statusHeader = "egress-status";
/** What the worker needs to know of the target's headers; each comes as `egress-<name>`. */
export const passedHeaders = ["content-type", "content-length", "location", "retry-after"] as const;

export const forwardRequest = z.strictObject({
  url: z.url({ protocol: /^https?$/ }),
  method: z.enum(["GET", "POST"]),
  headers: z.record(z.string(), z.string()),
  body: z.string().nullable(),
  /** Milliseconds until the target's headers must be here. */
  timeout: z.int().positive(),
});
export type ForwardRequest = z.infer<typeof forwardRequest>;

export const forwardFailure = z.object({
  reason: z.enum(["address_refused", "unreachable", "timed_out"]),
  detail: z.string(),
});
export type ForwardFailure = z.infer<typeof forwardFailure>;
