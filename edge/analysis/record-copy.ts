/**
 * The copies of the records in storage, `records/{account}/{analysis}.json`: written when an analysis is created and when
 * it ends, gone when it is erased. From them the index can be made anew.
 */
import { analysis } from "@omni-iml/shared/analysis";
import type { IndexRebuild } from "@omni-iml/shared/index-rebuild";
import { z } from "zod";
import { log } from "../log.ts";
import { recordKey } from "../storage/objects.ts";
import { updateIndex } from "./index-table.ts";
import type { IndexEntry } from "./ledger.ts";
import { type AnalysisSnapshot, describe } from "./snapshot.ts";

/** What is needed of a copy; one of an earlier version, whose analysis was described otherwise, will do. */
const recordCopy = z.object({
  account: z.string(),
  /** The first version did not write it: older than anything that the index has. */
  sequence: z.int().default(0),
  analysis: analysis.pick({
    id: true,
    status: true,
    created_at: true,
    ended_at: true,
    expires_at: true,
    cached: true,
    verdict: true,
    score: true,
  }),
});

export async function writeRecordCopy(storage: R2Bucket, snapshot: AnalysisSnapshot, sequence: number): Promise<void> {
  const { account, id } = snapshot;
  const body = JSON.stringify({ account, sequence, analysis: describe(snapshot) });
  await storage.put(recordKey(account, id), body, { httpMetadata: { contentType: "application/json" } });
}

/**
 * Brings what the index says of the next `limit` records up to date. Safe at any time and as often as wanted: where the
 * index knows something newer, that stays.
 */
export async function rebuildIndex(
  env: { STORAGE: R2Bucket; DATABASE: D1Database },
  cursor: string | undefined,
  limit: number,
): Promise<IndexRebuild> {
  const page = await env.STORAGE.list({ prefix: "records/", limit, ...(cursor === undefined ? {} : { cursor }) });
  const unreadable: string[] = [];
  const entries = await Promise.all(
    page.objects.map(async ({ key }) => {
      try {
        const copy = await env.STORAGE.get(key);
        // Erased since it was listed.
        return copy === null ? null : entryOf(recordCopy.parse(await copy.json()));
      } catch (error) {
        log("error", "a record in storage cannot be read", { key, error });
        unreadable.push(key);
        return null;
      }
    }),
  );
  for (const entry of entries) if (entry !== null) await updateIndex(env.DATABASE, entry);
  const next_cursor = page.truncated ? page.cursor : null;
  return { object: "index_rebuild", records: page.objects.length, unreadable, next_cursor };
}

function entryOf({ account, sequence, analysis: described }: z.output<typeof recordCopy>): IndexEntry {
  const time = (text: string | null) => (text === null ? null : Date.parse(text));
  const { id, status, cached, verdict, score, created_at, ended_at, expires_at } = described;
  return {
    id,
    account,
    sequence,
    status,
    createdAt: Date.parse(created_at),
    endedAt: time(ended_at),
    expiresAt: time(expires_at),
    cached,
    verdict,
    score,
  };
}
