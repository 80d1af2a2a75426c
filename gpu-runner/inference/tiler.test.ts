/** Where tiles lie: the cases that model/ is tested with as well, and what must hold for any image. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { releaseManifest } from "@omni-iml/shared/release";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { sidesOfSeveral, type Tiling, tilesAlong } from "./tiler.ts";

const release = join(import.meta.dirname, "../../model/release");
const read = async (name: string): Promise<unknown> => JSON.parse(await readFile(join(release, name), "utf8"));
const shared = z
  .array(
    z.object({
      pipeline: releaseManifest.shape.pipeline.pick({ tile: true, tile_step: true, overlap: true }),
      sides: z.array(z.object({ length: z.int(), side: z.int(), origins: z.array(z.int()) })),
    }),
  )
  .parse(await read("parity/tiles.json"));
const { pipeline: served } = releaseManifest.parse(await read("manifest.json"));

function named(tiling: Tiling): string {
  return `${tiling.tile} by ${tiling.tile_step}, overlapping by ${tiling.overlap}`;
}

describe.each(shared.map((group) => [named(group.pipeline), group] as const))("%s", (_, { pipeline, sides }) => {
  it("lies where the model's own inference puts it", () => {
    for (const { length, ...expected } of sides) expect(tilesAlong(length, pipeline)).toEqual(expected);
  });

  it("covers any length with as few tiles as can be, on the block grid, overlapping by no less than planned", () => {
    for (let length = 1; length <= 5000; length++) {
      const { side, origins } = tilesAlong(length, pipeline);
      const last = origins.at(-1) ?? Number.NaN;
      const faults = [
        origins[0] !== 0,
        origins.some((origin) => origin % 8 !== 0),
        side % 32 !== 0 || side > pipeline.tile,
        // To the end, and no more than a block's rest beyond it.
        last + side < length || (origins.length > 1 && last + side >= length + 8),
        origins.some((origin, i) => i > 0 && (origins[i - 1] ?? 0) + side - origin < pipeline.overlap),
        origins.some((origin, i) => i > 0 && origin <= (origins[i - 1] ?? 0)),
        // One tile less of the largest side would not do.
        origins.length > 1 && (origins.length - 1) * (pipeline.tile - pipeline.overlap) + pipeline.overlap >= length,
        origins.length > 1 && !sidesOfSeveral(pipeline).includes(side),
      ];
      expect(faults.includes(true), `${length}: ${side} at ${origins}`).toBe(false);
    }
  });
});

it("gives a long side of the released model one of six sides", () => {
  expect(sidesOfSeveral(served)).toEqual([448, 512, 576, 640, 704, 768]);
});
