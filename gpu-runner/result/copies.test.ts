import { describe, expect, it } from "vitest";
import type { Point } from "../evidence/plane.ts";
import type { GreyMap } from "../image/encode.ts";
import { levelOf, logitOf } from "../inference/blend.ts";
import { drawing } from "../testing/drawing.ts";
import { raiseCopies } from "./copies.ts";

/** "+" is 100 (a logit of -0.4), "-" 60 (-1.2), anything else 10 (-3.2). */
const drawn = drawing({ "+": 100, "-": 60 }, 10);
const policy = { raise: 2, least_difference: 0.5, least_logit: -2 };

const square = (x: number, y: number, side: number): Point[] => [
  [x, y],
  [x + side, y],
  [x + side, y + side],
  [x, y + side],
];

/** Of each pixel whether it was raised by `raise`; the others must be as they were. */
function raisedIn(before: GreyMap, after: GreyMap, raise = policy.raise): string[] {
  const marks = Array.from(after.data, (level, i) => {
    const old = before.data[i] ?? 0;
    if (level === old) return ".";
    expect(level).toBe(levelOf(logitOf(old) + raise));
    return "#";
  });
  return Array.from({ length: after.height }, (_, y) => marks.slice(y * after.width, (y + 1) * after.width).join(""));
}

const rows = [
  "..........", //
  "..++...--.",
  "..++...--.",
  "..........",
  "..........",
];

const pair = (first: Point[], second: Point[]) => ({ first, second, whole: { first, second } });

function raised(copies: ReturnType<typeof pair>[], changes: Partial<typeof policy> = {}) {
  const map = drawn(...rows);
  raiseCopies(map, { copies, width: map.width, height: map.height }, { ...policy, ...changes });
  return raisedIn(drawn(...rows), map, changes.raise);
}

const both = pair(square(2, 1, 2), square(7, 1, 2));
const copy = [
  "..........", //
  "..##......",
  "..##......",
  "..........",
  "..........",
];

describe("of two places that show the same", () => {
  it("the one that reacts more is raised, whichever comes first", () => {
    expect(raised([both])).toEqual(copy);
    expect(raised([pair(both.second, both.first)])).toEqual(copy);
  });

  it("what is sure already is no less sure after it", () => {
    const map = drawing({ "+": 250, "-": 60 }, 10)(...rows);
    raiseCopies(map, { copies: [both], width: map.width, height: map.height }, policy);
    expect(map.data[12]).toBe(254);
    raiseCopies(map, { copies: [both], width: map.width, height: map.height }, { ...policy, raise: 9 });
    expect(map.data[12]).toBe(255);
  });

  it("it is raised with all of it that agrees more loosely, but judged by what surely agrees", () => {
    const whole = { first: square(2, 1, 3), second: square(7, 1, 3) };
    const wider = ["..........", "..###.....", "..###.....", "..###.....", ".........."];
    expect(raised([{ ...both, whole }], { least_logit: -0.6 })).toEqual(wider);
  });

  it("none is where they hardly differ", () => {
    expect(raised([both], { least_difference: 1 })).toEqual(rows.map(() => ".........."));
  });

  it("none is where the network sees nothing of either", () => {
    expect(raised([both], { least_logit: -0.3 })).toEqual(rows.map(() => ".........."));
    expect(raised([both], { least_logit: -0.6 })).toEqual(copy);
  });

  it("none is where one lies outside of the image", () => {
    expect(raised([{ ...both, second: square(40, 1, 2) }])).toEqual(rows.map(() => ".........."));
  });

  it("it is raised once, however many show the same, and all are judged by the map as it was", () => {
    const again = pair(square(2, 1, 2), square(6, 3, 2));
    expect(raised([both, again])).toEqual(copy);
    const chain = pair(square(7, 1, 2), square(2, 1, 2));
    expect(raised([both, chain], { raise: 0.9 })).toEqual(copy);
  });
});

it("finds its place in a map that is larger than the picture in which it was found", () => {
  const [width, height] = [40, 20];
  const data = new Uint8Array(width * height).fill(10);
  for (let y = 8; y < 16; y++) data.fill(100, y * width + 8, y * width + 16);
  const map = { data, width, height };
  const before = { ...map, data: data.slice() };
  const copies = [pair(square(2, 2, 2), square(7, 1, 2))];
  raiseCopies(map, { copies, width: 10, height: 5 }, policy);
  const marks = raisedIn(before, map);
  expect(marks.flatMap((row, y) => (row.includes("#") ? [[y, row.indexOf("#"), row.lastIndexOf("#")]] : []))).toEqual(
    Array.from({ length: 8 }, (_, i) => [i + 8, 8, 15]),
  );
});
