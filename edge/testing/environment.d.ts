/** What the tests find in `cloudflare:workers` and through vitest's `inject`. */
import type { D1Migration } from "cloudflare:test";
import type { Environment } from "../environment.ts";

declare global {
  namespace Cloudflare {
    interface Env extends Environment {
      MIGRATIONS: D1Migration[];
    }
    interface GlobalProps {
      mainModule: typeof import("../index.ts");
    }
  }
}

declare module "vitest" {
  interface ProvidedContext {
    runnerUrl: string;
    egressUrl: string;
    outsideUrl: string;
  }
}
