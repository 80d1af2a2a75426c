/**
 * Lowers what reacts far less than the most striking part of a map: beside a real edit, that is mostly its echo.
 *
 * model/omni_iml/inference.py does the same, on maps of any size pixel by pixel.
 */
import type { GreyMap } from "../image/encode.ts";
import { connectedComponents } from "./components.ts";
import { factorOf, reduce } from "./regions.ts";

/** Parts begin at a probability of one half. */
const least = 128;

/** Of the levels; a level of 0 or 255 stands for what rounds to it, and so for a quarter of one. */
const logits = Float64Array.from({ length: 256 }, (_, level) => {
  const within = Math.min(Math.max(level, 0.25), 254.75);
  return Math.log(within / (255 - within));
});

/**
 * Lowers in place, to just under one half, connected parts whose mean logit is below `leastProminence` of the largest one.
 *
 * Maps that are reduced before regions are sought are judged by the same reduced map.
 */
export function subdueEchoes(map: GreyMap, leastProminence: number): void {
  const factor = factorOf(map);
  const reduced = reduce(map, factor);
  const parts = connectedComponents(reduced, least / 255, 1).map(({ runs, area }) => {
    let sum = 0;
    for (const { y, from, to } of runs) {
      for (let x = from; x < to; x++) sum += logits[reduced.data[y * reduced.width + x] ?? 0] ?? 0;
    }
    return { runs, meanLogit: sum / area };
  });
  const largest = parts.reduce((most, { meanLogit }) => Math.max(most, meanLogit), 0);
  for (const { runs, meanLogit } of parts) {
    if (meanLogit >= leastProminence * largest) continue;
    for (const run of runs) {
      for (let y = run.y * factor; y < Math.min((run.y + 1) * factor, map.height); y++) {
        const row = y * map.width;
        const to = Math.min(run.to * factor, map.width);
        for (let x = run.from * factor; x < to; x++) {
          if ((map.data[row + x] ?? 0) >= least) map.data[row + x] = least - 1;
        }
      }
    }
  }
}
