/** What is announced to endpoints, and the body in which it is sent. */
import type { SentEventType } from "@omni-iml/shared/webhooks";
import { present } from "../analysis/snapshot.ts";
import { describeBatch } from "../batches/snapshot.ts";
import { type Environment, settings } from "../environment.ts";

export interface WebhookEvent {
  /** `webhook-id`: the same in every attempt and for every endpoint. */
  id: string;
  type: SentEventType;
  /** Unix milliseconds at which it happened. */
  at: number;
  /** The id of what it is about. */
  subject: string | null;
  /**
   * JSON to send as `data`; `null` where the analysis or batch `subject` is asked anew for each attempt: files get
   * addresses that are still good, and what was deleted meanwhile is not sent after all.
   */
  data: string | null;
}

/** The event of an analysis's end. An analysis ends once, so its id names the event, too. */
export function endOf(analysis: string, status: "succeeded" | "failed" | "canceled", at: number): WebhookEvent {
  return { id: analysis.replace(/^an_/, "ev_"), type: `analysis.${status}`, at, subject: analysis, data: null };
}

/** The event of a batch's end. */
export function completionOf(batch: string, at: number): WebhookEvent {
  return { id: batch.replace(/^ba_/, "ev_"), type: "batch.completed", at, subject: batch, data: null };
}

/** The body to send, or `null` if what it is about has been erased. */
export async function bodyOf(env: Environment, account: string, event: WebhookEvent): Promise<string | null> {
  const data = event.data === null ? await current(env, account, event.subject) : JSON.parse(event.data);
  if (data === null) return null;
  return JSON.stringify({ type: event.type, timestamp: new Date(event.at).toISOString(), data });
}

async function current(env: Environment, account: string, id: string | null) {
  if (id === null) throw new Error("an event without data has a subject");
  if (id.startsWith("ba_")) {
    const batch = await env.BATCHES.getByName(id).read(account);
    return batch === null || batch.erased !== null ? null : describeBatch(batch);
  }
  const snapshot = await env.ANALYSES.getByName(id).read(account);
  if (snapshot === null || snapshot.erased !== null) return null;
  return present(snapshot, settings(env));
}
