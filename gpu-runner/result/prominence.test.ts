import { describe, expect, it } from "vitest";
import type { GreyMap } from "../image/encode.ts";
import { drawing } from "../testing/drawing.ts";
import { subdueEchoes } from "./prominence.ts";

/** "#" is 250 (a logit of 3.9), "+" 200 (1.3), "-" 140 (0.2), "o" 127, anything else 10. */
const drawn = drawing({ "#": 250, "+": 200, "-": 140, o: 127 }, 10);

function subdued(least: number, ...rows: string[]): GreyMap {
  const map = drawn(...rows);
  subdueEchoes(map, least);
  return map;
}

describe("echoes", () => {
  const shown = [
    "##....++....-", //
    "##..o.++...--",
    ".............",
    "#-...+#+.....",
  ];

  it("are lowered to just under one half where they react less than the share of the strongest part", () => {
    const expected = drawn(
      "##....++....o", //
      "##..o.++...oo",
      ".............",
      "#-...+#+.....",
    );
    expect(subdued(0.3, ...shown)).toEqual(expected);
  });

  it("are the more, the larger that share is; the strongest part always stays", () => {
    const expected = drawn(
      "##....oo....o", //
      "##..o.oo...oo",
      ".............",
      "oo...ooo.....",
    );
    expect(subdued(0.9, ...shown)).toEqual(expected);
    expect(subdued(1, "...", ".-.")).toEqual(drawn("...", ".-."));
  });

  it("are none where nothing is lowered, and none in an empty map", () => {
    expect(subdued(0, ...shown)).toEqual(drawn(...shown));
    expect(subdued(0.5, "...", ".o.")).toEqual(drawn("...", ".o."));
  });

  it("are found on a reduced map where the map is large, up to its edges", () => {
    const [width, height] = [4001, 2503];
    const data = new Uint8Array(width * height).fill(10);
    const fill = (x0: number, y0: number, x1: number, y1: number, level: number) => {
      for (let y = y0; y < y1; y++) data.fill(level, y * width + x0, y * width + x1);
    };
    fill(100, 100, 400, 300, 250);
    fill(3900, 2400, width, height, 140);
    subdueEchoes({ data, width, height }, 0.3);
    expect(data[200 * width + 200]).toBe(250);
    expect([data[2400 * width + 3900], data.at(-1)]).toEqual([127, 127]);
    expect(data.includes(140)).toBe(false);
  });
});
