/** The report as a person reads it, and as Markdown takes it. */
import type { Interval } from "./bootstrap.ts";
import type { Cell, ImageLevel, MetricName, PeerCell } from "./summary.ts";

const columns: readonly (readonly [MetricName, string])[] = [
  ["f1", "F1 at 0.5"],
  ["iou", "IoU at 0.5"],
  ["bestF1", "best F1"],
  ["bestIou", "best IoU"],
  ["auc", "AUC"],
];

/** Ours: means with 95 % intervals. */
export function figuresTable(cells: readonly Cell[]): string {
  return markdown(
    ["images", "n", ...columns.map(([, title]) => title)],
    cells.map(({ title, images, metrics }) => [
      title,
      String(images),
      ...columns.map(([metric]) => withInterval(metrics[metric])),
    ]),
  );
}

/** Every detector's mean best F1 and AUC, and by how much ours is better than the best of them on the same images. */
export function peersTable(cells: readonly Cell[]): string {
  const peers = [...new Set(cells.flatMap((cell) => cell.peers.map(({ peer }) => peer)))];
  const rows = (["auc", "bestF1"] as const).flatMap((metric) =>
    cells.map((cell) => {
      const best = bestPeer(cell.peers, metric);
      return [
        cell.title,
        metric === "auc" ? "AUC" : "best F1",
        short(cell.metrics[metric]?.mean ?? null),
        ...peers.map((peer) => short(cell.peers.find((other) => other.peer === peer)?.means[metric] ?? null)),
        best ? `${best.peer} ${withInterval(best.difference[metric], true)}` : "–",
      ];
    }),
  );
  return markdown(["images", "figure", "Omni-IML", ...peers, "against the best"], rows);
}

function bestPeer(peers: readonly PeerCell[], metric: MetricName): PeerCell | undefined {
  return peers.reduce<PeerCell | undefined>(
    (best, peer) => ((peer.means[metric] ?? -1) > (best?.means[metric] ?? -1) ? peer : best),
    undefined,
  );
}

export function imageLevelLine(level: ImageLevel): string {
  const { tampered, authentic, auc, truePositives, pairs, pairsWon } = level;
  if (auc === null || truePositives === null) return "Image score, natural images: no authentic ones to compare with.";
  return [
    `Image score, natural images (${tampered} tampered, ${authentic} authentic): AUC ${short(auc)}`,
    `${Math.round(100 * truePositives.rate)} % found where at most 10 % of the authentic ones are called tampered (threshold ${short(truePositives.threshold)})`,
    `in ${pairs} pairs with their own originals the tampered one scores higher ${pairsWon === null ? "–" : `${Math.round(100 * pairsWon)} %`} of the time`,
  ].join("; ");
}

function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]) => `| ${row.map((text, i) => text.padEnd(widths[i] ?? 0)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

function withInterval(interval: Interval | null, signed = false): string {
  if (interval === null) return "–";
  const sign = signed && interval.mean >= 0 ? "+" : "";
  return `${sign}${short(interval.mean)} [${short(interval.low)}, ${short(interval.high)}]`;
}

/** Three digits without the leading zero, as the field prints them. */
function short(value: number | null): string {
  return value === null ? "–" : value.toFixed(3).replace(/^(-?)0\./, "$1.");
}
