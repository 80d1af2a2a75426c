/** Rows for a person at a terminal. */

/** Columns as wide as their longest cell; `null` is shown as a dash. */
export function table(head: string[], rows: (string | null)[][]): string {
  const lines = [head, ...rows].map((row) => row.map((cell) => cell ?? "-"));
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
