/**
 * Lowers what reacts far less than the most striking part of a map: beside a real edit, that is mostly its echo.
 *
 * model/omni_iml/inference.py does the same, on maps of any size pixel by pixel.
 */
import type { GreyMap } from "../image/encode.ts";
import { logitOf } from "../inference/blend.ts";
import { connectedComponents, type Run } from "./components.ts";
import { factorOf, reduce } from "./regions.ts";

/** Parts begin at a probability of one half. */
const least = 128;

/**
 * Lowers in place, to just under one half, connected parts whose mean logit is below `leastProminence` of the largest one.
 *
 * Maps that are reduced before regions are sought are judged by the same reduced map.
 */
export function subdueEchoes(map: GreyMap, leastProminence: number): void {
  const factor = factorOf(map);
  const reduced = reduce(map, factor);
  const parts = connectedComponents(reduced, 0.5, 1).map(({ runs, area }) => {
    let sum = 0;
    for (const { y, from, to } of runs) {
      for (let x = from; x < to; x++) sum += logitOf(reduced.data[y * reduced.width + x] ?? 0);
    }
    return { runs, meanLogit: sum / area };
  });
  const largest = parts.reduce((most, { meanLogit }) => Math.max(most, meanLogit), 0);
  const echoes = parts.filter(({ meanLogit }) => meanLogit < leastProminence * largest);
  for (const { runs } of echoes) for (const run of runs) lower(map, run, factor);
}

/** Lowers what a run of a map that was reduced by `factor` covers. */
function lower({ data, width, height }: GreyMap, run: Run, factor: number): void {
  const to = Math.min(run.to * factor, width);
  for (let y = run.y * factor; y < Math.min((run.y + 1) * factor, height); y++) {
    for (let at = y * width + run.from * factor; at < y * width + to; at++) {
      if ((data[at] ?? 0) >= least) data[at] = least - 1;
    }
  }
}
