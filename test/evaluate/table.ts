/** The report as a person reads it, and as Markdown takes it. */
import type { Interval } from "./bootstrap.ts";
import type { Cell, ConditionCell, GateShare, ImageLevel, MetricName, PeerCell, Separation } from "./summary.ts";

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

const peerColumns: readonly (readonly [MetricName, string])[] = [
  ["auc", "AUC"],
  ["bestF1", "best F1"],
  ["f1", "F1 at 0.5"],
];

/** Every detector's mean AUC, best F1 and F1 at 0.5 (of its map stretched to 0…1), and by how much ours is better than the best of them on the same images. */
export function peersTable(cells: readonly Cell[]): string {
  const peers = [...new Set(cells.flatMap((cell) => cell.peers.map(({ peer }) => peer)))];
  const rows = peerColumns.flatMap(([metric, name]) =>
    cells.map((cell) => {
      const best = bestPeer(cell.peers, metric);
      return [
        cell.title,
        name,
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

/** The image score by domain: all images, then tampered ones and their own originals alone. */
export function imageLevelTable(levels: readonly ImageLevel[]): string {
  const row = (title: string, part: Separation, more: readonly string[]) => [
    title,
    `${part.tampered} + ${part.authentic}`,
    withInterval(part.auc),
    withInterval(part.truePositives),
    ...more,
  ];
  return markdown(
    [
      "image score",
      "tampered + authentic",
      "AUC",
      "found at ≤ 10 % false alarms",
      "pairs won",
      "authentic area flagged",
    ],
    levels.flatMap(({ domain, all, pairs, authenticFlagged }) => [
      row(domain, all, ["", withInterval(authenticFlagged)]),
      ...(pairs.count === 0 ? [] : [row(`${domain}, in pairs`, pairs, [withInterval(pairs.won), ""])]),
    ]),
  );
}

/** In what share of the images the gate chose the fused modality, by domain and condition. */
export function gateTable(conditions: readonly { condition: string; gate: readonly GateShare[] }[]): string {
  const domains = [...new Set(conditions.flatMap(({ gate }) => gate.map(({ domain }) => domain)))];
  return markdown(
    ["gate chose fused", ...conditions.map(({ condition }) => condition)],
    domains.map((domain) => [
      domain,
      ...conditions.map(({ gate }) => {
        const share = gate.find((one) => one.domain === domain);
        return share ? `${Math.round(100 * share.fused)} % of ${share.images}` : "–";
      }),
    ]),
  );
}

/** Figures under each condition, and on the same images by how much they differ from the untouched files'. */
export function conditionsTable(
  conditions: readonly { condition: string; against: readonly ConditionCell[] }[],
): string {
  return markdown(
    ["condition", "images", "F1 at 0.5", "difference", "AUC", "difference"],
    conditions.flatMap(({ condition, against }) =>
      against.map(({ title, f1, f1Difference, auc, aucDifference }) => [
        condition,
        title,
        withInterval(f1),
        withInterval(f1Difference, true),
        withInterval(auc),
        withInterval(aucDifference, true),
      ]),
    ),
  );
}

export function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
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
