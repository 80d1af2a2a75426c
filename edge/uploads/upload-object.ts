/**
 * One upload: what was announced, where it was PUT, and which analysis it has become.
 *
 * It is used once: the analysis takes a copy of its own, and the upload's goes at once, so that erasing the analysis
 * leaves nothing behind here. A claim has a lease; when it runs out, the analysis itself says whether it came to be.
 */
import { DurableObject } from "cloudflare:workers";
import type { NewUpload } from "@omni-iml/shared/uploads";
import { type Environment, settings } from "../environment.ts";
import { log } from "../log.ts";
import { uploadKey } from "../storage/objects.ts";
import { hasTable } from "../storage/tables.ts";
import { Timers } from "../storage/timers.ts";

/** Times are Unix milliseconds. */
export interface UploadSnapshot {
  id: string;
  account: string;
  bytes: number;
  contentType: NewUpload["content_type"];
  filename: string | null;
  createdAt: number;
  expiresAt: number;
  expired: boolean;
  erased: boolean;
  analysis: string | null;
}

export type UploadClaim =
  | { kind: "claimed"; bytes: number; filename: string | null }
  | { kind: "gone" }
  | { kind: "used"; analysis: string };

type Row = {
  id: string;
  account: string;
  bytes: number;
  content_type: NewUpload["content_type"];
  filename: string | null;
  created_at: number;
  expires_at: number;
  claimed_by: string | null;
  claim_until: number;
  used_by: string | null;
  erased: number;
};

const schema = `
CREATE TABLE IF NOT EXISTS upload (
  id TEXT PRIMARY KEY, account TEXT NOT NULL, bytes INTEGER NOT NULL, content_type TEXT NOT NULL, filename TEXT,
  created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
  claimed_by TEXT, claim_until INTEGER NOT NULL DEFAULT 0, used_by TEXT, erased INTEGER NOT NULL DEFAULT 0
)`;

/** Longer than copying 200 MB takes. */
const lease = 180_000;
/** Clocks of storage and worker may differ a little when a PUT address dies. */
const clockMargin = 60_000;

export class UploadObject extends DurableObject<Environment> {
  readonly #timers = new Timers(this.ctx.storage, ["claim", "sweep", "expire", "forget"]);

  /** May be repeated. */
  create(upload: {
    id: string;
    account: string;
    bytes: number;
    contentType: NewUpload["content_type"];
    filename: string | null;
  }): UploadSnapshot {
    const now = Date.now();
    this.ctx.storage.sql.exec(schema);
    this.#timers.createTable();
    if (this.#find() === null) {
      const expiresAt = now + settings(this.env).UPLOAD_RETENTION_S;
      this.#commit(() => {
        this.ctx.storage.sql.exec(
          `INSERT INTO upload (id, account, bytes, content_type, filename, created_at, expires_at)
           VALUES (?, ?, ?, ?, ?, ?, ?)`,
          upload.id,
          upload.account,
          upload.bytes,
          upload.contentType,
          upload.filename,
          now,
          expiresAt,
        );
        // All PUT addresses have died by then.
        this.#timers.set("expire", expiresAt + clockMargin);
      });
    }
    return snapshotOf(this.#row());
  }

  /** The upload, if it exists and is this account's. */
  read(account: string): UploadSnapshot | null {
    const row = this.#find();
    return row === null || row.account !== account ? null : snapshotOf(row);
  }

  /** Takes the upload for an analysis, which has to say `used` or `release`. May be repeated by the same one. */
  claim(account: string, analysis: string): UploadClaim | null {
    const row = this.#find();
    if (row === null || row.account !== account) return null;
    const now = Date.now();
    if (row.used_by !== null) return { kind: "used", analysis: row.used_by };
    if (row.erased === 1 || row.expires_at <= now) return { kind: "gone" };
    if (row.claimed_by !== null && row.claimed_by !== analysis) return { kind: "used", analysis: row.claimed_by };
    this.#commit(() => {
      this.ctx.storage.sql.exec("UPDATE upload SET claimed_by = ?, claim_until = ?", analysis, now + lease);
      this.#timers.set("claim", now + lease);
    });
    return { kind: "claimed", bytes: row.bytes, filename: row.filename };
  }

  /** The analysis has a copy of its own: this one goes. */
  async used(analysis: string): Promise<void> {
    const row = this.#find();
    if (row === null || row.used_by !== null || row.claimed_by !== analysis) return;
    this.#commit(() => {
      this.ctx.storage.sql.exec("UPDATE upload SET used_by = ?, claimed_by = NULL, filename = NULL", analysis);
      this.#timers.clear("claim");
      this.#timers.set("sweep", Date.now());
    });
    await this.#run("sweep");
  }

  /** The analysis did not come to be: another one may have the upload. */
  release(analysis: string): void {
    if (this.#find()?.claimed_by !== analysis) return;
    this.#commit(() => {
      this.ctx.storage.sql.exec("UPDATE upload SET claimed_by = NULL");
      this.#timers.clear("claim");
    });
  }

  /** Erases the file; what has become an analysis is that analysis's business. */
  async erase(account: string): Promise<boolean> {
    const row = this.#find();
    if (row === null || row.account !== account) return false;
    this.#commit(() => {
      this.ctx.storage.sql.exec("UPDATE upload SET erased = 1, filename = NULL");
      this.#timers.set("sweep", Date.now());
    });
    await this.#run("sweep");
    return true;
  }

  /** Never throws: what fails here is due again by its timer. */
  override async alarm(): Promise<void> {
    try {
      if (this.#find() === null) return;
      for (const kind of this.#timers.takeDue(Date.now())) await this.#run(kind);
    } catch (error) {
      log("error", "an alarm failed", { upload: this.ctx.id.name, error });
    } finally {
      if (this.#find() !== null) this.#timers.arm();
    }
  }

  async #run(kind: "claim" | "sweep" | "expire" | "forget"): Promise<void> {
    try {
      await this.#handlers[kind]();
    } catch (error) {
      log("error", "a step of an upload failed; it will be tried again", { upload: this.ctx.id.name, kind, error });
    }
  }

  readonly #handlers: Record<"claim" | "sweep" | "expire" | "forget", () => Promise<void>> = {
    claim: async () => {
      const { claimed_by: analysis, account } = this.#row();
      if (analysis === null) this.#commit(() => this.#timers.clear("claim"));
      else if ((await this.env.ANALYSES.getByName(analysis).read(account)) === null) this.release(analysis);
      else await this.used(analysis);
    },
    sweep: async () => {
      const { account, id } = this.#row();
      await this.env.STORAGE.delete(uploadKey(account, id));
      this.#commit(() => this.#timers.clear("sweep"));
    },
    expire: async () => {
      const { account, id } = this.#row();
      await this.env.STORAGE.delete(uploadKey(account, id));
      this.#commit(() => {
        this.ctx.storage.sql.exec("UPDATE upload SET erased = 1, filename = NULL");
        this.#timers.clear("expire");
        this.#timers.set("forget", Date.now() + settings(this.env).TOMBSTONE_S);
      });
    },
    forget: async () => {
      await this.ctx.storage.deleteAll();
    },
  };

  #commit(change: () => void): void {
    this.ctx.storage.transactionSync(change);
    this.#timers.arm();
  }

  #find(): Row | null {
    if (!hasTable(this.ctx.storage.sql, "upload")) return null;
    return this.ctx.storage.sql.exec<Row>("SELECT * FROM upload").toArray()[0] ?? null;
  }

  #row(): Row {
    const row = this.#find();
    if (row === null) throw new Error("there is no upload in this object");
    return row;
  }
}

function snapshotOf(row: Row): UploadSnapshot {
  return {
    id: row.id,
    account: row.account,
    bytes: row.bytes,
    contentType: row.content_type,
    filename: row.filename,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    expired: row.expires_at <= Date.now(),
    erased: row.erased === 1,
    analysis: row.used_by ?? row.claimed_by,
  };
}
