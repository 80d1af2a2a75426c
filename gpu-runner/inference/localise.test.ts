import type { ReleaseManifest } from "@omni-iml/shared/release";
import { describe, expect, it } from "vitest";
import { type DecodedImage, noTable } from "../image/decode.ts";
import { Batcher } from "./batcher.ts";
import { localise } from "./localise.ts";
import type { ModelInput, ModelOutput, Session } from "./session.ts";
import { cutTile, tileGrid, viewOf, viewScale } from "./tiler.ts";

/** A model that answers with its own input: the red channel is the probability map. Each tile's gate comes from blue. */
class Mirror implements Session {
  readonly seen: ModelInput[] = [];
  #last = 0;

  async run(input: ModelInput): Promise<ModelOutput> {
    this.seen.push(input);
    const area = input.width * input.height;
    const probability = new Uint8Array(input.count * area);
    for (let i = 0; i < probability.length; i++) probability[i] = input.pixels[3 * i] ?? 0;
    const gate = Float32Array.from({ length: input.count }, (_, i) => (input.pixels[3 * i * area + 2] ?? 0) / 255);
    const score = Float32Array.from({ length: input.count }, () => ++this.#last / 1000);
    const domain = Float32Array.from({ length: 4 * input.count }, (_, i) => [0.1, 0.2, 0.6, 0.1][i % 4] ?? 0);
    return { probability, score, gate, domain };
  }
}

type Pipeline = ReleaseManifest["pipeline"];
const view = { size: 96, weights: [0, 0, 0, 0], enlarged: { up_to: 64, factor: 1.5, size: 80 } };
const pipeline: Pipeline = { tile: 128, tile_step: 32, overlap: 32, view, gate_tiles: 4 };

/** Red is noise or a ramp, blue what the gate shall be. */
function picture(width: number, height: number, red: (x: number, y: number) => number, blue = 255): DecodedImage {
  const pixels = Buffer.alloc(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) pixels.set([red(x, y), 0, blue], 3 * (y * width + x));
  }
  return {
    header: { format: "png", width, height, frames: 1, jpeg: null },
    pixels,
    width,
    height,
    qtable: new Int32Array(64).fill(7),
    jpeg: true,
    orientation: 1,
    frames: 1,
    metadata: { exif: null, xmp: null, iptc: null, comments: [] },
  };
}

function noise(x: number, y: number): number {
  return (x * 7919 + y * 104_729 + ((x * y) % 251)) % 256;
}

function run(
  image: DecodedImage,
  session: Session,
  policy: Pipeline = pipeline,
  signal = new AbortController().signal,
) {
  const done: number[] = [];
  return localise(image, policy, new Batcher([session], 4), { signal, progress: (part) => done.push(part) }).then(
    (result) => ({ ...result, done }),
  );
}

function redOf(image: DecodedImage): Buffer {
  return Buffer.from(Array.from({ length: image.width * image.height }, (_, i) => image.pixels[3 * i] ?? 0));
}

describe("the map lies where the image lies", () => {
  it.each([
    [64, 64],
    [128, 128],
    [129, 65],
    [300, 90],
    [97, 301],
    [400, 333],
    [131, 131],
    [161, 140],
    [193, 260],
  ])("%i×%i", async (width, height) => {
    const image = picture(width, height, noise);
    const { map } = await run(image, new Mirror());
    expect([map.width, map.height]).toEqual([width, height]);
    expect(redOf(image).equals(map.data)).toBe(true);
  });
});

it("cuts an image's tiles alike, as small as their number allows, on the block grid, padded by repeating the edge", async () => {
  const session = new Mirror();
  const width = 181;
  // Red and its inverse tell where a tile came from.
  const image = picture(width, 90, (x) => Math.floor(x / 8));
  await run(image, session);
  for (const { width: tileWidth, height, pixels, count } of session.seen) {
    expect([tileWidth, height]).toEqual([128, 96]);
    for (let i = 0; i < count; i++) {
      const tile = pixels.subarray(i * 128 * 96 * 3, (i + 1) * 128 * 96 * 3);
      // A tile that begins on the block grid shows eight equal columns first.
      expect(new Set([0, 1, 2, 3, 4, 5, 6, 7].map((x) => tile[3 * x])).size).toBe(1);
      expect(tile.subarray(95 * 128 * 3)).toEqual(tile.subarray(89 * 128 * 3, 90 * 128 * 3));
    }
  }
});

describe("modality", () => {
  it("is decided once for the image, and a tile that agreed already is not run again", async () => {
    const fused = new Mirror();
    expect((await run(picture(400, 400, noise, 255), fused)).modality).toBe("fused");
    const tilesRun = fused.seen.reduce((sum, { count }) => sum + count, 0);
    expect(tilesRun).toBe(16);
    const overrides = fused.seen.flatMap(({ modalityOverride }) => Array.from(modalityOverride));
    expect(overrides.filter((override) => override === -1)).toHaveLength(4);
    expect(overrides.filter((override) => override === 1)).toHaveLength(12);
    expect((await run(picture(400, 400, noise, 10), new Mirror())).modality).toBe("rgb");
  });

  it("makes a tile run again that had decided otherwise", async () => {
    const session = new Mirror();
    const image = picture(400, 90, noise, 255);
    // Only the first tile's first pixel says "rgb"; the mean of the four says "fused".
    image.pixels[2] = 0;
    expect((await run(image, session)).modality).toBe("fused");
    const overrides = session.seen.flatMap(({ modalityOverride }) => Array.from(modalityOverride));
    expect(overrides.filter((override) => override === 1)).toHaveLength(1);
  });
});

describe("the view of the whole image", () => {
  const withView: Pipeline = { ...pipeline, view: { ...view, weights: [0.5, 0.5, 0.5, 0.5] } };

  it("is mixed in by its weight, without table and without frequency traces", async () => {
    const session = new Mirror();
    const image = picture(400, 300, (x) => Math.round((255 * x) / 399));
    const { map } = await run(image, session, withView);
    const view = session.seen.find(({ width }) => width === 96);
    expect(view?.height).toBe(64);
    expect(Array.from(view?.jpeg ?? [])).toEqual([0]);
    expect(view?.qtable).toEqual(noTable);
    expect(Array.from(view?.modalityOverride ?? [])).toEqual([0]);
    // A ramp stays a ramp when it is shrunk and stretched again, but for a little at the borders.
    const off = Array.from(redOf(image), (value, i) => Math.abs(value - (map.data[i] ?? 0)));
    expect(Math.max(...off)).toBeLessThanOrEqual(3);
  });

  it("shows the image mirrored where the release says so, and turns the map back", async () => {
    const image = picture(400, 300, (x) => Math.round((255 * x) / 399));
    const [straight, mirrored] = [new Mirror(), new Mirror()];
    const { map: expected } = await run(image, straight, withView);
    const { map } = await run(image, mirrored, { ...withView, view: { ...withView.view, mirrored: true } });
    const firstRow = ({ seen }: Mirror) => {
      const pixels = seen.find(({ width }) => width === 96)?.pixels ?? new Uint8Array();
      return Array.from({ length: 96 }, (_, x) => pixels[3 * x] ?? 0);
    };
    expect(firstRow(mirrored)).toEqual(firstRow(straight).reverse());
    expect(firstRow(mirrored)[0]).toBeGreaterThan(200);
    // Not toEqual: of two maps that differ everywhere it takes minutes to say so.
    expect(Buffer.compare(map.data, expected.data)).toBe(0);
  });

  it("lowers what reacts far less than the strongest part where the release says so", async () => {
    const image = picture(100, 100, (x) => (x < 30 ? 250 : x > 60 ? 140 : 10));
    const at = ({ data }: { data: Uint8Array }) => [data[10], data[90]];
    expect(at((await run(image, new Mirror())).map)).toEqual([250, 140]);
    expect(at((await run(image, new Mirror(), { ...pipeline, least_prominence: 0.3 })).map)).toEqual([250, 127]);
    // Lowered by half the logit of 250 first: what is left of the faint part is no part any more.
    const both = { ...pipeline, relative_floor: 0.5, least_prominence: 0.3 };
    expect(at((await run(image, new Mirror(), both)).map)).toEqual([223, 37]);
  });

  it("shows small images enlarged, by a factor and up to a size, and others shrunk", async () => {
    for (const [width, height, shown] of [
      [40, 20, [64, 64]],
      [64, 64, [96, 96]],
      [65, 40, [64, 64]],
      [400, 300, [96, 64]],
    ] as const) {
      const session = new Mirror();
      const single: Pipeline = { ...withView, tile: 512 };
      await run(picture(width, height, noise), session, single);
      // The tile asks the gate, the view does not; of one size, both are one batch.
      const seen = session.seen.find(({ modalityOverride }) => modalityOverride.includes(0));
      expect([seen?.width, seen?.height]).toEqual(shown);
    }
  });

  it("outweighs tiles that are unsure, and is outweighed by tiles that are sure", async () => {
    // The view of an image of one colour has that colour: what it says is changed on its way.
    const says = async (tiles: number, whole: number) => {
      const session = new Mirror();
      const split: Session = {
        run: async (input) => {
          const output = await session.run(input);
          return { ...output, probability: output.probability.fill(input.width === 96 ? whole : tiles) };
        },
      };
      return (
        await run(
          picture(400, 300, () => 0),
          split,
          withView,
        )
      ).map.data[0];
    };
    // In the middle between the logits of 1/2 and 9/10 lies 3/4; between those of 1/10 and 9/10, 1/2.
    expect(await says(127.5, 229.5)).toBeGreaterThan(188);
    expect(await says(127, 230)).toBeLessThan(194);
    expect(await says(26, 229)).toBe(128);
    expect([await says(0, 0), await says(255, 255)]).toEqual([0, 255]);
    // 250 of 255 against 77, the logit -0.84: where sums would be halved, 164.
    expect(await says(250, 77)).toBeGreaterThan(200);
  });

  it("weighs as much as the domain of the tiles says", async () => {
    // Mirror takes everything for .1 photograph, .2 document, .6 face and .1 scene text.
    const session = new Mirror();
    const split: Session = {
      run: async (input) => {
        const output = await session.run(input);
        return { ...output, probability: output.probability.fill(input.width === 96 ? 230 : 127) };
      },
    };
    const of = async (weights: number[]) =>
      (await run(picture(400, 300, noise), split, { ...pipeline, view: { ...view, weights } })).map.data[0];
    expect(await of([0, 0, 1, 0])).toBe(await of([0.6, 0.6, 0.6, 0.6]));
    expect(await of([0, 0, 1, 0])).toBeGreaterThan((await of([1, 1, 0, 0])) ?? 255);
  });

  it("is left out where its weight is 0 in all domains", async () => {
    const unweighted = new Mirror();
    await run(picture(400, 300, noise), unweighted);
    expect(unweighted.seen.every(({ width }) => width === 128)).toBe(true);
  });
});

it("reports every tile's score, the mean domain, and progress up to 1", async () => {
  const { networkScores, domain, done } = await run(picture(400, 300, noise), new Mirror());
  expect(networkScores).toHaveLength(12);
  expect(domain.map((part) => part.toFixed(3))).toEqual(["0.100", "0.200", "0.600", "0.100"]);
  expect(done.at(-1)).toBe(1);
});

it("is the map of a reference that holds the whole image, all tiles and all weights at once", async () => {
  const image = picture(1500, 950, noise);
  const withView: Pipeline = { ...pipeline, tile: 256, view: { ...view, weights: [0.3, 0.3, 0.3, 0.3] } };
  const session = new Mirror();
  // A tile that differs from its neighbours shows where the seams are.
  const answers: { x: number; y: number; probability: Uint8Array }[] = [];
  const grid = tileGrid(image, withView);
  expect([grid.width, grid.height]).toEqual([256, 224]);
  const unlike: Session = {
    run: async (input) => {
      const output = await session.run(input);
      return {
        ...output,
        probability: output.probability.map((value, i) => (input.width === 256 ? value ^ (i & 15) : value)),
      };
    },
  };
  const { map } = await run(image, unlike, withView);
  for (const y of grid.rows) {
    for (const x of grid.columns) {
      const pixels = cutTile(image, grid, x, y);
      answers.push({
        x,
        y,
        probability: Uint8Array.from({ length: 256 * 224 }, (_, i) => (pixels[3 * i] ?? 0) ^ (i & 15)),
      });
    }
  }
  const sums = new Float64Array(1500 * 950);
  const weights = new Float64Array(1500 * 950);
  /** A raised cosine over the least overlap, but not where the tile ends with the image. */
  const window = (at: number, side: number, first: boolean, last: boolean) => {
    const nearest = Math.min(first ? 32 : at, last ? 32 : side - 1 - at);
    return nearest >= 32 ? 1 : 0.5 - 0.5 * Math.cos((Math.PI * (nearest + 0.5)) / 32);
  };
  for (const { x, y, probability } of answers) {
    for (let i = 0; i < probability.length; i++) {
      const [column, row] = [i % 256, Math.floor(i / 256)];
      if (x + column >= 1500 || y + row >= 950) continue;
      const weight =
        window(column, 256, x === 0, x === grid.columns.at(-1)) * window(row, 224, y === 0, y === grid.rows.at(-1));
      const at = (y + row) * 1500 + x + column;
      sums[at] = (sums[at] ?? 0) + weight * (probability[i] ?? 0);
      weights[at] = (weights[at] ?? 0) + weight;
    }
  }
  const seen = await viewOf(image, viewScale(image, view), false);
  const stretched = (x: number, y: number) => {
    const across = Math.min(Math.max(((x + 0.5) * seen.width) / 1500 - 0.5, 0), seen.width - 1);
    const down = Math.min(Math.max(((y + 0.5) * seen.height) / 950 - 0.5, 0), seen.height - 1);
    const red = (column: number, row: number) =>
      seen.pixels[3 * (Math.min(row, seen.height - 1) * seen.width + Math.min(column, seen.width - 1))] ?? 0;
    const [left, top] = [Math.floor(across), Math.floor(down)];
    const upper = red(left, top) * (1 - across + left) + red(left + 1, top) * (across - left);
    const lower = red(left, top + 1) * (1 - across + left) + red(left + 1, top + 1) * (across - left);
    return upper * (1 - down + top) + lower * (down - top);
  };
  const logitOf = (level: number) => {
    const bounded = Math.min(Math.max(level, 0.25), 254.75);
    return Math.log(bounded / (255 - bounded));
  };
  let furthest = 0;
  map.data.forEach((value, at) => {
    const tiles = (sums[at] ?? 0) / (weights[at] ?? 1);
    const logit = 0.7 * logitOf(tiles) + 0.3 * logitOf(stretched(at % 1500, Math.floor(at / 1500)));
    const expected = 255 / (1 + Math.exp(-logit));
    furthest = Math.max(furthest, Math.abs(value - expected));
  });
  expect(furthest).toBeLessThanOrEqual(1);
});

it("has no more than 32 tiles of a strip in hand, whichever is answered first, and the map is the same", async () => {
  const image = picture(128 * 60, 64, noise);
  const batcher = new Batcher([new Mirror()], 4);
  const answer = batcher.run.bind(batcher);
  const hand = new Set<Promise<unknown>>();
  let most = 0;
  batcher.run = async (...tile) => {
    const result = answer(...tile);
    hand.add(result);
    most = Math.max(most, hand.size);
    // The later a tile was handed over, the earlier it is answered.
    await new Promise((resolve) => setTimeout(resolve, 40 - hand.size));
    hand.delete(result);
    return result;
  };
  const watch = { signal: new AbortController().signal, progress: () => undefined };
  const { map, networkScores } = await localise(image, pipeline, batcher, watch);
  expect(networkScores.length).toBeGreaterThan(60);
  expect(most).toBeLessThanOrEqual(32);
  expect(most).toBeGreaterThan(16);
  expect(redOf(image).equals(map.data)).toBe(true);
});

it("stops before the next tile when the job is withdrawn", async () => {
  const controller = new AbortController();
  const session = new Mirror();
  const run1 = session.run.bind(session);
  session.run = async (input) => {
    // In the middle of the first row: four tiles have decided the modality, ten and more of the row wait.
    if (session.seen.length === 6) controller.abort(new Error("withdrawn"));
    return run1(input);
  };
  const pending = localise(picture(1000, 1000, noise), pipeline, new Batcher([session], 1), {
    signal: controller.signal,
    progress: () => undefined,
  });
  await expect(pending).rejects.toThrow("withdrawn");
  expect(session.seen.length).toBe(7);
});

it("batches tiles of one shape from several images, up to the largest batch", async () => {
  const session = new Mirror();
  const batcher = new Batcher([session], 4);
  // The first batch does not end before nine tiles have been handed over, whatever the threads that cut them do.
  const handedOver = Promise.withResolvers<void>();
  const [hand, answer] = [batcher.run.bind(batcher), session.run.bind(session)];
  let handed = 0;
  batcher.run = (...tile) => {
    if (++handed === 9) handedOver.resolve();
    return hand(...tile);
  };
  session.run = async (input) => {
    await handedOver.promise;
    return answer(input);
  };
  const watch = { signal: new AbortController().signal, progress: () => undefined };
  const images = [picture(400, 90, noise), picture(400, 90, (x) => x % 256), picture(64, 64, noise)];
  const maps = await Promise.all(images.map((image) => localise(image, pipeline, batcher, watch)));
  maps.forEach(({ map }, i) => {
    expect(images[i] !== undefined && redOf(images[i]).equals(map.data)).toBe(true);
  });
  expect(Math.max(...session.seen.map(({ count }) => count))).toBe(4);
});

it("hands the view over beside the tiles that decide the modality", async () => {
  const seen: number[] = [];
  const both = Promise.withResolvers<void>();
  const batcher = new Batcher([new Mirror()], 4);
  const answer = batcher.run.bind(batcher);
  batcher.run = async (tile, ...rest) => {
    seen.push(tile.modalityOverride);
    if (seen.length === 2) both.resolve();
    await both.promise;
    return answer(tile, ...rest);
  };
  const viewed = { ...pipeline, view: { ...pipeline.view, weights: [0.4, 0.4, 0.4, 0.4] } };
  const watch = { signal: new AbortController().signal, progress: () => undefined };
  const { viewScore } = await localise(picture(64, 64, noise), viewed, batcher, watch);
  expect(viewScore).not.toBeNull();
  expect(seen.toSorted()).toEqual([-1, 0]);
});
