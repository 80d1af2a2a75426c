import { describe, expect, it } from "vitest";
import type { GreyMap } from "../image/encode.ts";
import { drawing } from "../testing/drawing.ts";
import { raiseFloor, subdueEchoes } from "./prominence.ts";

/** "#" is 250 (a logit of 3.9), "+" 200 (1.3), "-" 140 (0.2), "o" 127, anything else 10. */
const drawn = drawing({ "#": 250, "+": 200, "-": 140, o: 127 }, 10);

function subdued(least: number, ...rows: string[]): GreyMap {
  const map = drawn(...rows);
  subdueEchoes(map, least);
  return map;
}

/** A level whose logit is lowered. */
const lowered = (level: number, by: number) => {
  const [least, logit] = [1 / 1020, (p: number) => Math.log(p / (1 - p))];
  return Math.round(255 / (1 + Math.exp(by - logit(Math.min(Math.max(level / 255, least), 1 - least)))));
};

describe("a relative floor", () => {
  it("lowers the whole map by a share of the largest mean logit of a part", () => {
    const map = drawn("##.+", "##.-", "..o.");
    raiseFloor(map, 0.5);
    const by = Math.log(250 / 5) / 2;
    expect([...map.data]).toEqual([250, 250, 10, 200, 250, 250, 10, 140, 10, 10, 127, 10].map((v) => lowered(v, by)));
    expect(map.data[0]).toBeGreaterThan(200);
    expect(map.data[3]).toBeLessThan(128);
  });

  it("is the strongest part's mean, not the largest part's", () => {
    const map = drawn("++++", "++++", "....", "#...");
    raiseFloor(map, 0.5);
    expect(map.data[0]).toBe(lowered(200, Math.log(250 / 5) / 2));
  });

  it("leaves a map as it is where nothing reacts, and at no share", () => {
    for (const [share, rows] of [
      [0.5, ["...", ".o."]],
      [0, ["#..", ".+."]],
    ] as const) {
      const map = drawn(...rows);
      raiseFloor(map, share);
      expect(map).toEqual(drawn(...rows));
    }
  });

  it("is found on a reduced map where the map is large", () => {
    const [width, height] = [4001, 2503];
    const data = new Uint8Array(width * height).fill(10);
    for (let y = 100; y < 300; y++) data.fill(250, y * width + 100, y * width + 400);
    data[data.length - 1] = 200;
    raiseFloor({ data, width, height }, 0.5);
    const by = Math.log(250 / 5) / 2;
    expect(Math.abs((data[200 * width + 200] ?? 0) - lowered(250, by))).toBeLessThanOrEqual(1);
    expect(data.at(-1)).toBeLessThan(128);
  });
});

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
