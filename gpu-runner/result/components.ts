/** Connected components of a thresholded map (8-connected), from runs of pixels: memory grows with the runs, not the pixels. */
import type { GreyMap } from "../image/encode.ts";

/** Pixels `from` to `to` (exclusive) of row `y`. */
export interface Run {
  readonly y: number;
  readonly from: number;
  readonly to: number;
}

export interface Component {
  /** By rising y, then x. */
  readonly runs: readonly Run[];
  readonly area: number;
  /** Sum of the map's values (0 to 255) inside. */
  readonly sum: number;
}

function runsOfRow(map: GreyMap, y: number, least: number): Run[] {
  const runs: Run[] = [];
  const row = map.data.subarray(y * map.width, (y + 1) * map.width);
  for (let x = 0; x < row.length; x++) {
    if ((row[x] ?? 0) < least) continue;
    const from = x;
    while (x < row.length && (row[x] ?? 0) >= least) x++;
    runs.push({ y, from, to: x });
  }
  return runs;
}

/** Components of the pixels whose probability (0 to 1) reaches `threshold`, with at least `smallest` pixels. */
export function connectedComponents(map: GreyMap, threshold: number, smallest: number): Component[] {
  const least = Math.ceil(threshold * 255);
  const runs: Run[] = [];
  const parents: number[] = [];
  const rootOf = (run: number): number => {
    let at = run;
    for (let parent = parents[at] ?? at; parent !== at; parent = parents[at] ?? at) {
      parents[at] = parents[parent] ?? parent;
      at = parent;
    }
    return at;
  };
  let above = 0;
  for (let y = 0; y < map.height; y++) {
    const current = runs.length;
    for (const run of runsOfRow(map, y, least)) {
      const index = runs.push(run) - 1;
      parents.push(index);
      // Runs of the row above that end before this one's left neighbour touch none of the following runs either.
      while (above < current && (runs[above]?.to ?? 0) < run.from) above++;
      for (let other = above; other < current && (runs[other]?.from ?? 0) <= run.to; other++) {
        parents[rootOf(other)] = rootOf(index);
      }
    }
    above = current;
  }
  const byRoot = new Map<number, Run[]>();
  runs.forEach((run, index) => {
    const root = rootOf(index);
    const members = byRoot.get(root);
    if (members === undefined) byRoot.set(root, [run]);
    else members.push(run);
  });
  return [...byRoot.values()]
    .map((members) => ({ runs: members, area: areaOf(members), sum: sumOf(map, members) }))
    .filter(({ area }) => area >= smallest);
}

function areaOf(runs: readonly Run[]): number {
  return runs.reduce((area, { from, to }) => area + to - from, 0);
}

function sumOf(map: GreyMap, runs: readonly Run[]): number {
  let sum = 0;
  for (const { y, from, to } of runs) {
    for (const value of map.data.subarray(y * map.width + from, y * map.width + to)) sum += value;
  }
  return sum;
}
