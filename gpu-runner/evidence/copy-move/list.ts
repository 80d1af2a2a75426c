/**
 * Lists what was copied inside image files, as far as the runner believes it: one JSON line a file, with the pairs of places
 * in pixels of the stored image. Pictures of text are taken for scenes. model/copies.py reads it.
 *
 *   node gpu-runner/evidence/copy-move/list.ts < NAMES    one file name a line
 */
import { readFileSync } from "node:fs";
import { readConfiguration } from "../../configuration.ts";
import { decodeImage } from "../../image/decode.ts";
import { believedCopies, searchCopies } from "../evidence.ts";
import type { Point } from "../plane.ts";
import type { PairOfPlaces } from "./correspondence.ts";

const { MAX_PIXELS } = readConfiguration({ ...process.env, RUNNER_SECRET: "nothing is signed here" });
const { signal } = new AbortController();

for (const file of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  const image = await decodeImage(readFileSync(file), MAX_PIXELS);
  const { copies, degraded_checks } = await searchCopies(image, "natural", signal);
  if (copies === null) throw new Error(`${file}: ${degraded_checks.map(({ reason }) => reason).join("; ")}`);
  const [sx, sy] = [image.width / copies.width, image.height / copies.height];
  const enlarged = (polygon: readonly Point[]) => polygon.map(([x, y]) => [x * sx, y * sy]);
  const pair = ({ first, second }: PairOfPlaces) => ({ first: enlarged(first), second: enlarged(second) });
  const places = believedCopies(copies, "natural").copies.map((copy) => ({
    ...pair(copy),
    whole: pair(copy.whole),
  }));
  process.stdout.write(`${JSON.stringify({ file, copies: places })}\n`);
}
