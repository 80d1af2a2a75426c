/** How the result of a fault is printed. */
export interface FaultRow {
  fault: string;
  jobs: number;
  succeeded: number;
  failed: number;
  lost: number;
  duplicated: number;
  /** Milliseconds. */
  recovery: number | null;
}

const heads = ["fault", "jobs", "succeeded", "failed", "lost", "duplicated", "time to recover"];

export function markdown(rows: readonly FaultRow[]): string {
  const total = (pick: (row: FaultRow) => number) => rows.reduce((sum, row) => sum + pick(row), 0);
  const whole: FaultRow = {
    fault: "**all**",
    jobs: total((row) => row.jobs),
    succeeded: total((row) => row.succeeded),
    failed: total((row) => row.failed),
    lost: total((row) => row.lost),
    duplicated: total((row) => row.duplicated),
    recovery: null,
  };
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
  return [
    line(heads),
    line(heads.map(() => "---")),
    ...[...rows, whole].map((row) =>
      line([
        row.fault,
        row.jobs,
        row.succeeded,
        row.failed,
        row.lost,
        row.duplicated,
        row.recovery === null ? "" : `${(row.recovery / 1000).toFixed(1)} s`,
      ]),
    ),
  ].join("\n");
}
