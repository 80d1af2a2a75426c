/** The sums of all isolates, for `GET /metrics`. */
import { DurableObject } from "cloudflare:workers";
import type { Environment } from "../environment.ts";
import { families } from "./families.ts";

const schema = "CREATE TABLE IF NOT EXISTS series (name TEXT PRIMARY KEY, value REAL NOT NULL)";

export class MetricsObject extends DurableObject<Environment> {
  constructor(ctx: DurableObjectState, env: Environment) {
    super(ctx, env);
    ctx.storage.sql.exec(schema);
  }

  add(changes: readonly (readonly [series: string, value: number])[]): void {
    this.ctx.storage.transactionSync(() => {
      for (const [name, value] of changes) {
        this.ctx.storage.sql.exec(
          "INSERT INTO series (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
          name,
          value,
        );
      }
    });
  }

  /** The text format of Prometheus, 0.0.4. */
  expose(): string {
    const rows = this.ctx.storage.sql
      .exec<{ name: string; value: number }>("SELECT name, value FROM series ORDER BY rowid")
      .toArray();
    const lines: string[] = [];
    for (const [family, { help, type }] of Object.entries(families)) {
      lines.push(`# HELP ${family} ${help}`, `# TYPE ${family} ${type}`);
      const parts = type === "counter" ? [family] : ["_bucket", "_sum", "_count"].map((part) => family + part);
      for (const { name, value } of rows) {
        if (parts.includes(name.split("{")[0] ?? "")) lines.push(`${name} ${value}`);
      }
    }
    return `${lines.join("\n")}\n`;
  }
}
