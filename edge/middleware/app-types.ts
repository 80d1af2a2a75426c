import type { ProblemCode } from "@omni-iml/shared/problems";
import type { Caller } from "../accounts/authenticate.ts";
import type { Environment } from "../environment.ts";

/** What Hono passes along with a request. `caller` is set behind the authentication middleware only. */
export interface App {
  Bindings: Environment;
  Variables: {
    requestId: string;
    /** The `traceparent` of this request's own span. */
    trace: string;
    /** Behind the authentication middleware; before it, and at addresses without it, there is none. */
    caller: Caller;
    /** The problem that the request was answered with. */
    code: ProblemCode;
  };
}
