/** The D1 table `analyses`: an index of the objects, for listing. */
import { type AnalysisPage, type AnalysisStatus, analysisStatuses, analysisSummary } from "@omni-iml/shared/analysis";
import { z } from "zod";
import type { IndexEntry } from "./ledger.ts";

const upsert = `
INSERT INTO analyses (id, account_id, sequence, status, created_at, ended_at, expires_at, cached, verdict, score)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
  sequence = excluded.sequence, status = excluded.status, ended_at = excluded.ended_at, expires_at = excluded.expires_at,
  cached = excluded.cached, verdict = excluded.verdict, score = excluded.score
WHERE excluded.sequence > analyses.sequence`;

/** Notes the state of an analysis, unless a newer one is there already. */
export async function updateIndex(database: D1Database, entry: IndexEntry): Promise<void> {
  await database
    .prepare(upsert)
    .bind(
      entry.id,
      entry.account,
      entry.sequence,
      entry.status,
      entry.createdAt,
      entry.endedAt,
      entry.expiresAt,
      entry.cached ? 1 : 0,
      entry.verdict,
      entry.score,
    )
    .run();
}

const row = z.object({
  id: z.string(),
  status: z.enum(analysisStatuses),
  created_at: z.number(),
  ended_at: z.number().nullable(),
  expires_at: z.number().nullable(),
  cached: z.number(),
  verdict: analysisSummary.shape.verdict,
  score: z.number().nullable(),
});

const timestamp = (time: number | null) => (time === null ? null : new Date(time).toISOString());

/** A page of an account's analyses, newest first. Deleted ones never appear, expired ones only where asked for. */
export async function listAnalyses(
  database: D1Database,
  account: string,
  page: { status?: AnalysisStatus | undefined; cursor?: string | undefined; limit: number },
): Promise<AnalysisPage> {
  const conditions = ["account_id = ?"];
  const bindings: (string | number)[] = [account];
  if (page.status === undefined) {
    conditions.push("status NOT IN ('expired', 'deleted')");
  } else {
    conditions.push("status = ?");
    bindings.push(page.status);
  }
  if (page.cursor !== undefined) {
    conditions.push("id < ?");
    bindings.push(page.cursor);
  }
  const sql = `SELECT id, status, created_at, ended_at, expires_at, cached, verdict, score FROM analyses
    WHERE ${conditions.join(" AND ")} ORDER BY id DESC LIMIT ?`;
  // One more than asked for tells whether there is a next page.
  const { results } = await database
    .prepare(sql)
    .bind(...bindings, page.limit + 1)
    .all();
  const rows = z.array(row).parse(results);
  const data = rows.slice(0, page.limit).map((entry) => ({
    ...entry,
    object: "analysis" as const,
    created_at: new Date(entry.created_at).toISOString(),
    ended_at: timestamp(entry.ended_at),
    expires_at: timestamp(entry.expires_at),
    cached: entry.cached === 1,
  }));
  return { object: "list", data, next_cursor: rows.length > page.limit ? (data.at(-1)?.id ?? null) : null };
}
