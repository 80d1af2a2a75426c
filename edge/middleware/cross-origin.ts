/**
 * Pages of any origin may call the API with a key (CORS), the SDK in a browser among them.
 *
 * Any origin, because what lets a request pass is the key that it shows and nothing that the browser adds by itself:
 * without `Access-Control-Allow-Credentials` no cookie comes along, and the playground's session asks for its own origin.
 */
import { cors } from "hono/cors";

export const crossOrigin = cors({
  origin: "*",
  allowMethods: ["GET", "HEAD", "POST", "PATCH", "DELETE"],
  allowHeaders: ["authorization", "content-type", "idempotency-key", "last-event-id", "prefer", "traceparent"],
  exposeHeaders: [
    "allow",
    "idempotency-replayed",
    "link",
    "location",
    "omni-request-id",
    "preference-applied",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
  ],
  // Seconds for which a browser need not ask again; Chromium takes two hours at most.
  maxAge: 7_200,
});
