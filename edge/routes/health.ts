/** `/healthz`: this worker runs. `/readyz`: an analysis sent now would find everything it needs. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { type Environment, settings } from "../environment.ts";
import { describeError, log } from "../log.ts";
import type { App } from "../middleware/app-types.ts";

const patience = 3_000;

async function runnerReady(env: Environment): Promise<void> {
  const checks = settings(env).RUNNER_URLS.map(async (url) => {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(patience) });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`a runner answers ${response.status}`);
  });
  await Promise.any(checks);
}

const checks: Readonly<Record<string, (env: Environment) => Promise<unknown>>> = {
  runner: runnerReady,
  storage: (env) => env.STORAGE.head("readiness"),
  database: (env) => env.DATABASE.prepare("SELECT 1 FROM accounts LIMIT 1").run(),
};

export function registerHealth(app: OpenAPIHono<App>): void {
  app.get("/healthz", (context) => context.json({ status: "ok" }));
  app.get("/readyz", async (context) => {
    const results = await Promise.all(
      Object.entries(checks).map(async ([name, check]) => {
        try {
          await check(context.env);
          return [name, "ok"] as const;
        } catch (error) {
          log("warn", "not ready", { check: name, reason: describeError(error) });
          return [name, "unavailable"] as const;
        }
      }),
    );
    const ready = results.every(([, state]) => state === "ok");
    return context.json(
      { status: ready ? "ok" : "unavailable", checks: Object.fromEntries(results) },
      ready ? 200 : 503,
    );
  });
}
