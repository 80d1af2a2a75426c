/**
 * The finished result of one (account, cache key): its files, who refers to them, and who is computing them.
 *
 * Single flight: of several analyses that want the same result, the first to ask leads and calls the runner, the others
 * follow. When the leader ends in any way, every follower is told to ask again: it then finds the result, or becomes the
 * leader itself. A leader that failed or was canceled therefore costs its followers time and nothing else.
 *
 * A result in which something failed that may work another time is for those who asked for it while it was computed. Who
 * comes later leads again, and what is found then takes its place; the files of before stay with whoever refers to them.
 */
import { DurableObject } from "cloudflare:workers";
import { newId } from "@omni-iml/shared/ids";
import { resultLine } from "@omni-iml/shared/inference";
import type { Environment } from "../environment.ts";
import { log } from "../log.ts";
import { sweep } from "../storage/objects.ts";
import { hasTable } from "../storage/tables.ts";
import { Timers } from "../storage/timers.ts";
import type { StoredFiles } from "./snapshot.ts";

export interface FinishedResult {
  /** JSON of the finding. */
  finding: string;
  files: StoredFiles;
  /** Under which the files lie. */
  prefix: string;
  /** Whether later analyses may be answered from it. */
  reusable: boolean;
}

export type Share =
  | ({ kind: "hit"; own: boolean } & FinishedResult)
  | { kind: "follow" }
  /** `prefix` is new with every attempt, so that no two attempts ever write to the same place. */
  | { kind: "lead"; prefix: string };

/** What an erasure has left behind of the results. */
export interface Remains {
  objects: number;
  /** Whether other analyses of the account, of the same bytes, have these results, too. */
  shared: boolean;
  /** When it is swept for the last time: the attempts' PUT addresses are dead by then. */
  sweptAgainAt: number | null;
}

type Row = {
  id: string;
  serial: number;
  leader: string | null;
  leader_until: number;
  put_until: number;
  prefix: string | null;
  computed_by: string | null;
  finding: string | null;
  files: string;
  reusable: number;
};

const schema = `
CREATE TABLE IF NOT EXISTS result (
  id TEXT PRIMARY KEY,
  serial INTEGER NOT NULL DEFAULT 0,       -- of the newest attempt
  leader TEXT, leader_until INTEGER NOT NULL DEFAULT 0,
  put_until INTEGER NOT NULL DEFAULT 0,    -- when the last PUT address dies
  prefix TEXT, computed_by TEXT, finding TEXT, files TEXT NOT NULL DEFAULT '{}', -- once there is a result
  reusable INTEGER NOT NULL DEFAULT 1
);
CREATE TABLE IF NOT EXISTS refs (analysis TEXT PRIMARY KEY, prefix TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS followers (analysis TEXT PRIMARY KEY);`;

/** Clocks of storage and worker may differ a little when a PUT address dies. */
const clockMargin = 60_000;

export class ResultObject extends DurableObject<Environment> {
  readonly #timers = new Timers(this.ctx.storage, ["sweep"]);

  constructor(ctx: DurableObjectState, env: Environment) {
    super(ctx, env);
    this.#bringUpToDate();
  }

  /**
   * Asks for the result on behalf of `analysis`. A hit takes a reference; the lead is held until `leadUntil` at most and
   * comes with a prefix whose PUT addresses die at `putUntil`.
   */
  claim(analysis: string, leadUntil: number, putUntil: number): Share {
    return this.#commit((): Share => {
      this.ctx.storage.sql.exec(schema);
      this.#timers.createTable();
      let row = this.#find();
      if (!row) {
        this.ctx.storage.sql.exec("INSERT INTO result (id) VALUES (?)", newId("result"));
        row = this.#row();
      }
      if (row.prefix !== null && row.finding !== null && (row.reusable === 1 || this.#refersTo(row.prefix, analysis))) {
        this.ctx.storage.sql.exec("INSERT OR REPLACE INTO refs (analysis, prefix) VALUES (?, ?)", analysis, row.prefix);
        const files = resultLine.shape.files.parse(JSON.parse(row.files));
        const { finding, prefix } = row;
        return { kind: "hit", own: row.computed_by === analysis, finding, files, prefix, reusable: row.reusable === 1 };
      }
      if (row.leader !== null && row.leader !== analysis && row.leader_until > Date.now()) {
        this.ctx.storage.sql.exec("INSERT OR IGNORE INTO followers (analysis) VALUES (?)", analysis);
        // The leader may still be waiting for its turn in the queue while this one is wanted now.
        this.#announce([row.leader]);
        return { kind: "follow" };
      }
      this.ctx.storage.sql.exec("DELETE FROM followers WHERE analysis = ?", analysis);
      this.ctx.storage.sql.exec(
        "UPDATE result SET leader = ?, leader_until = ?, serial = serial + 1, put_until = MAX(put_until, ?)",
        analysis,
        leadUntil,
        putUntil,
      );
      this.#timers.set("sweep", Math.max(row.put_until, putUntil) + clockMargin);
      return { kind: "lead", prefix: prefixOf(this.#row()) };
    });
  }

  /** The leader has finished. `false` if it no longer leads, or not with this attempt: nothing is taken over then. */
  complete(analysis: string, result: FinishedResult): boolean {
    return this.#commit(() => {
      const row = this.#find();
      if (!row || row.leader !== analysis || prefixOf(row) !== result.prefix) return false;
      this.ctx.storage.sql.exec(
        "UPDATE result SET leader = NULL, computed_by = ?, finding = ?, files = ?, prefix = ?, reusable = ?",
        analysis,
        result.finding,
        JSON.stringify(result.files),
        result.prefix,
        result.reusable ? 1 : 0,
      );
      // Those who waited for it get it as it is.
      this.ctx.storage.sql.exec(
        "INSERT OR REPLACE INTO refs (analysis, prefix) SELECT analysis, ?1 FROM followers UNION SELECT ?2, ?1",
        result.prefix,
        analysis,
      );
      this.#announceToFollowers();
      return true;
    });
  }

  /** `analysis` no longer refers to, follows or leads this. The files go with the last reference. */
  async release(analysis: string): Promise<void> {
    if (!this.#find()) return;
    this.#commit(() => {
      const row = this.#row();
      this.ctx.storage.sql.exec("DELETE FROM refs WHERE analysis = ?", analysis);
      this.ctx.storage.sql.exec("DELETE FROM followers WHERE analysis = ?", analysis);
      if (row.leader === analysis) {
        this.ctx.storage.sql.exec("UPDATE result SET leader = NULL");
        this.#announceToFollowers();
      }
      if (row.prefix !== null && !this.#refersTo(row.prefix)) {
        this.ctx.storage.sql.exec("UPDATE result SET prefix = NULL, computed_by = NULL, finding = NULL, files = '{}'");
      }
      this.#timers.set("sweep", Date.now());
    });
    await this.#sweep();
  }

  /** What lies in storage that belongs to no analysis any more, and when it is swept once more. */
  async remains(): Promise<Remains> {
    const row = this.#find();
    if (!row) return { objects: 0, shared: false, sweptAgainAt: null };
    const kept = this.#kept(row);
    const listed = await this.env.STORAGE.list({ prefix: `results/${row.id}/` });
    const left = listed.objects.filter(({ key }) => !kept.some((prefix) => key.startsWith(prefix)));
    const again = this.#timers.isSet("sweep") ? row.put_until + clockMargin : null;
    return { objects: left.length, shared: this.#count("refs") > 0, sweptAgainAt: again };
  }

  override async alarm(): Promise<void> {
    try {
      if (this.#timers.takeDue(Date.now()).length > 0) await this.#sweep();
    } catch (error) {
      log("error", "sweeping a result failed; it will be tried again", { error });
    } finally {
      if (this.#find()) this.#timers.arm();
    }
  }

  /** Deletes every attempt but the winner's and the one under way, again after the last PUT address has died. */
  async #sweep(): Promise<void> {
    const row = this.#row();
    await sweep(this.env.STORAGE, `results/${row.id}/`, this.#kept(row));
    const now = Date.now();
    const after = this.#row();
    const unchanged = after.serial === row.serial && after.prefix === row.prefix && after.leader === row.leader;
    if (after.put_until + clockMargin > now) {
      this.#commit(() => this.#timers.set("sweep", after.put_until + clockMargin));
    } else if (unchanged) {
      this.#commit(() => this.#timers.clear("sweep"));
      const idle = after.leader === null && this.#count("refs") === 0 && this.#count("followers") === 0;
      if (idle) await this.ctx.storage.deleteAll();
    }
  }

  #kept(row: Row): string[] {
    const referred = this.ctx.storage.sql.exec<{ prefix: string }>("SELECT DISTINCT prefix FROM refs").toArray();
    const kept = referred.map(({ prefix }) => prefix);
    return row.leader === null ? kept : [...kept, prefixOf(row)];
  }

  /** Whether this analysis, or any, refers to the files under `prefix`. */
  #refersTo(prefix: string, analysis?: string): boolean {
    const query = "SELECT 1 FROM refs WHERE prefix = ? AND analysis = COALESCE(?, analysis) LIMIT 1";
    return this.ctx.storage.sql.exec(query, prefix, analysis ?? null).toArray().length > 0;
  }

  /** The tables of before had one result at most, and every reference was to it. */
  #bringUpToDate(): void {
    const { sql } = this.ctx.storage;
    if (!hasTable(sql, "refs")) return;
    const columns = sql.exec<{ name: string }>("SELECT name FROM pragma_table_info('refs')").toArray();
    if (columns.some(({ name }) => name === "prefix")) return;
    this.ctx.storage.transactionSync(() => {
      sql.exec("ALTER TABLE result ADD COLUMN reusable INTEGER NOT NULL DEFAULT 1");
      sql.exec("ALTER TABLE refs ADD COLUMN prefix TEXT");
      sql.exec("UPDATE refs SET prefix = (SELECT prefix FROM result)");
    });
  }

  #announceToFollowers(): void {
    const followers = this.ctx.storage.sql.exec<{ analysis: string }>("SELECT analysis FROM followers").toArray();
    this.ctx.storage.sql.exec("DELETE FROM followers");
    this.#announce(followers.map((row) => row.analysis));
  }

  /** Best effort: an analysis that misses it asks again by its own timer. */
  #announce(analyses: string[]): void {
    for (const id of analyses) {
      const told = this.env.ANALYSES.getByName(id).dispatch();
      this.ctx.waitUntil(
        told.catch((error: unknown) =>
          log("warn", "an analysis could not be told to ask again", { analysis: id, error }),
        ),
      );
    }
  }

  #commit<Value>(change: () => Value): Value {
    const value = this.ctx.storage.transactionSync(change);
    this.#timers.arm();
    return value;
  }

  #count(table: "refs" | "followers"): number {
    return this.ctx.storage.sql.exec<{ n: number }>(`SELECT COUNT(*) AS n FROM ${table}`).one().n;
  }

  #find(): Row | undefined {
    if (!hasTable(this.ctx.storage.sql, "result")) return undefined;
    return this.ctx.storage.sql.exec<Row>("SELECT * FROM result").toArray()[0];
  }

  #row(): Row {
    const row = this.#find();
    if (!row) throw new Error("there is no result in this object");
    return row;
  }
}

function prefixOf(row: Row): string {
  return `results/${row.id}/${row.serial}/`;
}
