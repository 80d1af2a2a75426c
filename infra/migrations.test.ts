/**
 * Migrations of D1 go forwards only, and before the worker that needs them: until it is deployed everywhere, and again
 * if it is rolled back, the code of before works on the new schema. So a migration may add, and nothing else.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { repository } from "./local/stack.ts";

const folder = join(repository, "edge/migrations");
const migrations = readdirSync(folder)
  .filter((name) => name.endsWith(".sql"))
  .toSorted();

type Column = { table: string; name: string; type: string; required: boolean; primary: boolean };

/** A database with the first `count` migrations. */
function schema(count: number): DatabaseSync {
  const database = new DatabaseSync(":memory:");
  migrate(database, 0, count);
  return database;
}

function migrate(database: DatabaseSync, from: number, to: number): void {
  for (const name of migrations.slice(from, to)) database.exec(readFileSync(join(folder, name), "utf8"));
}

function columns(database: DatabaseSync): Column[] {
  const rows = database
    .prepare(
      `SELECT t.name AS tbl, c.name, c.type, c."notnull" AS needed, c.dflt_value AS preset, c.pk
       FROM sqlite_master t JOIN pragma_table_info(t.name) c WHERE t.type = 'table' ORDER BY t.rowid, c.cid`,
    )
    .all();
  return rows.map((row) => ({
    table: String(row["tbl"]),
    name: String(row["name"]),
    type: String(row["type"]),
    required: row["needed"] === 1 && row["preset"] === null,
    primary: Number(row["pk"]) > 0,
  }));
}

/** Writes a row to every table, the way the code of that version does: naming the columns that it knows. */
function writeAs(known: readonly Column[], database: DatabaseSync, suffix: string): void {
  database.exec("PRAGMA foreign_keys = OFF");
  for (const table of new Set(known.map((column) => column.table))) {
    const named = known.filter((column) => column.table === table);
    const values = named.map(({ type, primary }) => (type === "TEXT" ? `'${primary ? table : ""}${suffix}'` : "1"));
    database.exec(`INSERT INTO ${table} (${named.map(({ name }) => name).join(", ")}) VALUES (${values.join(", ")})`);
  }
}

describe.each(migrations.map((name, index) => [name, index + 1] as const))("what runs on %s", (_, version) => {
  const known = columns(schema(version));

  it("can write and read after every later migration", () => {
    const database = schema(version);
    writeAs(known, database, "before");
    migrate(database, version, migrations.length);
    writeAs(known, database, "after");
    for (const table of new Set(known.map((column) => column.table))) {
      const names = known.filter((column) => column.table === table).map(({ name }) => name);
      const rows = database.prepare(`SELECT ${names.join(", ")} FROM ${table}`).all();
      expect(rows, table).toHaveLength(2);
    }
  });

  it("finds its columns and indexes as they were", () => {
    const now = columns(schema(migrations.length));
    for (const column of known) expect(now).toContainEqual(column);
    const added = now.filter(({ table, name }) => !known.some((one) => one.table === table && one.name === name));
    const toKnownTables = added.filter(({ table }) => known.some((one) => one.table === table));
    expect(toKnownTables.filter(({ required }) => required)).toEqual([]);
    const indexes = (database: DatabaseSync) =>
      database
        .prepare("SELECT name FROM sqlite_master WHERE type = 'index'")
        .all()
        .map((row) => row["name"]);
    expect(indexes(schema(migrations.length))).toEqual(expect.arrayContaining(indexes(schema(version))));
  });
});

/**
 * What a migration may consist of. A change of data is none of it: the code of before still reads it the old way. The one
 * exception was written before anything was released, so that no code ran that it could have stopped.
 */
const additions = /^(CREATE (TABLE|(UNIQUE )?INDEX) |ALTER TABLE \w+ ADD COLUMN )/;
const beforeTheFirstRelease = "0003_scopes_and_webhook_endpoints.sql";

it.each(migrations.filter((name) => name !== beforeTheFirstRelease))("%s adds, and nothing else", (name) => {
  const statements = readFileSync(join(folder, name), "utf8")
    .replaceAll(/^\s*--.*$/gm, "")
    .split(";")
    .map((statement) => statement.trim())
    .filter((statement) => statement !== "");
  expect(statements.length).toBeGreaterThan(0);
  expect(statements.filter((statement) => !additions.test(statement))).toEqual([]);
});

it("would notice a migration that takes something away", () => {
  const known = columns(schema(1));
  const database = schema(1);
  database.exec("ALTER TABLE analyses DROP COLUMN verdict");
  expect(() => writeAs(known, database, "after")).toThrow(/verdict/);
});
