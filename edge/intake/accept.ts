/** The one way by which an analysis comes to be, whoever asks for it: counted in, its input stored, its record committed. */
import type { AnalysisOptions } from "@omni-iml/shared/analysis";
import { Problem } from "@omni-iml/shared/problems";
import type { RequestWebhook } from "@omni-iml/shared/webhooks";
import type { AccountLimits } from "../accounts/authenticate.ts";
import { cacheKey } from "../analysis/cache-key.ts";
import type { BatchPlace } from "../analysis/ledger.ts";
import { release } from "../analysis/release.ts";
import type { AnalysisSnapshot } from "../analysis/snapshot.ts";
import { type Environment, settings } from "../environment.ts";
import { log } from "../log.ts";
import { inputKey } from "../storage/objects.ts";
import { type Source, storeInput } from "./input.ts";

export interface Order {
  id: string;
  account: string;
  limits: AccountLimits;
  retention: number | null;
  source: Source;
  options: AnalysisOptions;
  metadata: Record<string, string>;
  webhook: RequestWebhook | null;
  trace: string;
  idempotencyKey: string | null;
  batch: BatchPlace | null;
  /** Somebody may have begun with the same id before and broken off. */
  again: boolean;
  /** Nobody waits: the queue paces its first dispatch. */
  queued: boolean;
}

/** Accepts the analysis, or throws a Problem and leaves nothing behind. When it resolves, nothing can get lost any more. */
export async function accept(env: Environment, order: Order): Promise<AnalysisSnapshot> {
  const { id, account, source } = order;
  const analysis = env.ANALYSES.getByName(id);
  if (order.again) {
    const earlier = await analysis.read(account);
    if (earlier !== null) return earlier;
  }
  await admit(env, order);
  let snapshot: AnalysisSnapshot;
  try {
    snapshot = await create(env, order);
  } catch (error) {
    // An answer that was lost on the way says nothing about whether the record was committed; the record does.
    const created = await analysis.read(account);
    if (created === null) {
      // Each by itself: what broke the one must not keep a place among those under way, or an upload, for nothing.
      await Promise.all([
        env.STORAGE.delete(inputKey(account, id)).catch(noted("a refused input was not erased", id)),
        env.ACCOUNTS.getByName(account).withdraw(id).catch(noted("a refused analysis was not withdrawn", id)),
        source.kind === "upload" &&
          env.UPLOADS.getByName(source.id).release(id).catch(noted("an upload was not released", id)),
      ]);
      throw error;
    }
    snapshot = created;
  }
  // Both have a timer of their own behind them, should they fail here.
  if (source.kind === "upload")
    await env.UPLOADS.getByName(source.id).used(id).catch(noted("an upload was not let go", id));
  if (order.queued) await env.DISPATCH.send({ analysis: id }).catch(noted("an analysis was not queued", id));
  return snapshot;
}

/** Counts the analysis in, or refuses it. */
async function admit(env: Environment, { id, account, limits, options }: Order): Promise<void> {
  const { DEADLINE_BATCH_S, DEADLINE_INTERACTIVE_S } = settings(env);
  const until = Date.now() + (options.priority === "batch" ? DEADLINE_BATCH_S : DEADLINE_INTERACTIVE_S);
  const admission = await env.ACCOUNTS.getByName(account).admit(id, until, limits);
  if (!admission.admitted) {
    throw new Problem(admission.code, admission.detail, { retryAfter: admission.retryAfter });
  }
}

/** Stores the input, then the record. */
async function create(env: Environment, order: Order): Promise<AnalysisSnapshot> {
  const { id, account, options, metadata, webhook, trace, retention, idempotencyKey, batch } = order;
  const input = await storeInput(env, account, id, order.source);
  const key = await cacheKey(account, input.sha256, options, release, settings(env).INTERPRETER ?? id);
  return env.ANALYSES.getByName(id).create(
    {
      id,
      account,
      cacheKey: key,
      release: release.release,
      options,
      metadata,
      input,
      webhook,
      trace,
      retention,
      idempotencyKey,
      batch,
    },
    order.queued ? "queued" : "now",
  );
}

function noted(message: string, analysis: string) {
  return (error: unknown) => log("warn", message, { analysis, error });
}
