/**
 * Judges a map by its own strongest part: around what is sure less is believed than in a faint map, and what reacts far
 * less than the most striking part is mostly its echo.
 *
 * model/omni_iml/inference.py does the same, on maps of any size pixel by pixel.
 */
import type { GreyMap } from "../image/encode.ts";
import { logitOf, movedLevels } from "../inference/blend.ts";
import { connectedComponents, type Run } from "./components.ts";
import { factorOf, reduce } from "./regions.ts";

/** Parts begin at a probability of one half. */
const least = 128;

/** A connected part of a map that may have been reduced. */
interface Part {
  readonly runs: readonly Run[];
  readonly meanLogit: number;
}

/** Lowers all logits of a map in place by `relativeFloor` times the largest mean logit of a connected part. */
export function raiseFloor(map: GreyMap, relativeFloor: number): void {
  const floor = relativeFloor * strongest(partsOf(reduce(map, factorOf(map))));
  if (floor === 0) return;
  const lowered = movedLevels(-floor);
  const { data } = map;
  for (let i = 0; i < data.length; i++) data[i] = lowered[data[i] ?? 0] ?? 0;
}

/**
 * Lowers in place, to just under one half, connected parts whose mean logit is below `leastProminence` of the largest one.
 *
 * Maps that are reduced before regions are sought are judged by the same reduced map.
 */
export function subdueEchoes(map: GreyMap, leastProminence: number): void {
  const factor = factorOf(map);
  const parts = partsOf(reduce(map, factor));
  const enough = leastProminence * strongest(parts);
  const echoes = parts.filter(({ meanLogit }) => meanLogit < enough);
  for (const { runs } of echoes) for (const run of runs) lower(map, run, factor);
}

function partsOf(map: GreyMap): Part[] {
  return connectedComponents(map, 0.5, 1).map(({ runs, area }) => {
    let sum = 0;
    for (const { y, from, to } of runs) {
      for (let x = from; x < to; x++) sum += logitOf(map.data[y * map.width + x] ?? 0);
    }
    return { runs, meanLogit: sum / area };
  });
}

/** The largest mean logit, 0 where there is no part. */
const strongest = (parts: readonly Part[]) => parts.reduce((most, { meanLogit }) => Math.max(most, meanLogit), 0);

/** Lowers what a run of a map that was reduced by `factor` covers. */
function lower({ data, width, height }: GreyMap, run: Run, factor: number): void {
  const to = Math.min(run.to * factor, width);
  for (let y = run.y * factor; y < Math.min((run.y + 1) * factor, height); y++) {
    for (let at = y * width + run.from * factor; at < y * width + to; at++) {
      if ((data[at] ?? 0) >= least) data[at] = least - 1;
    }
  }
}
