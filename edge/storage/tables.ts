/** Whether an object has this table yet. Asked before reading: anybody can ask for any id, and asking must not create. */
export function hasTable(sql: SqlStorage, name: string): boolean {
  return sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", name).toArray().length > 0;
}
