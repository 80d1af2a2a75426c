/** A batch as its object hands it out, and how it becomes the public resource. */
import type { Batch, BatchItemStatus } from "@omni-iml/shared/batches";

/** Times are Unix milliseconds. */
export interface BatchSnapshot {
  id: string;
  account: string;
  createdAt: number;
  endedAt: number | null;
  canceledAt: number | null;
  expiresAt: number | null;
  erased: "deleted" | "expired" | null;
  metadata: Record<string, string>;
  counts: Partial<Record<BatchItemStatus, number>>;
}

const timestamp = (time: number | null) => (time === null ? null : new Date(time).toISOString());

export function describeBatch(snapshot: BatchSnapshot): Batch {
  const { pending = 0, running = 0, succeeded = 0, failed = 0, canceled = 0, refused = 0 } = snapshot.counts;
  const total = pending + running + succeeded + failed + canceled + refused;
  return {
    id: snapshot.id,
    object: "batch",
    status: snapshot.endedAt === null ? "running" : "ended",
    created_at: new Date(snapshot.createdAt).toISOString(),
    ended_at: timestamp(snapshot.endedAt),
    canceled_at: timestamp(snapshot.canceledAt),
    expires_at: timestamp(snapshot.expiresAt),
    metadata: snapshot.metadata,
    counts: { total, pending, running, succeeded, failed, canceled, refused },
  };
}
