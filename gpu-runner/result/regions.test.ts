import { describe, expect, it } from "vitest";
import { drawing } from "../testing/drawing.ts";
import { connectedComponents } from "./components.ts";
import { type Point, simplifyRing } from "./contour.ts";
import { findRegions } from "./regions.ts";

/** "#" is 204 (0.8), "+" is 153 (0.6), anything else 0. */
const drawn = drawing({ "#": 204, "+": 153 }, 0);

/** Area of a closed polygon (Gauss' formula). */
function areaOf(polygon: readonly (readonly [number, number])[]): number {
  let twice = 0;
  polygon.forEach(([x, y], i) => {
    const [nextX, nextY] = polygon[(i + 1) % polygon.length] ?? [0, 0];
    twice += x * nextY - nextX * y;
  });
  return Math.abs(twice) / 2;
}

describe("connected components", () => {
  it("touch at corners too, and join wherever two arms meet", () => {
    const map = drawn(
      "#..#....#", //
      ".##......",
      "....#...#",
      "#.#.#..#.",
      "#.###....",
    );
    const areas = connectedComponents(map, 0.5, 1).map(({ area }) => area);
    expect(areas.sort((a, b) => a - b)).toEqual([1, 2, 2, 4, 6]);
  });

  it("agree with a flood fill on noise", () => {
    const width = 61;
    const height = 47;
    const data = Uint8Array.from({ length: width * height }, (_, i) => ((i * 2_654_435_761) % 1000 < 420 ? 255 : 0));
    const seen = new Uint8Array(data.length);
    const areas: number[] = [];
    for (let start = 0; start < data.length; start++) {
      if (data[start] === 0 || seen[start]) continue;
      const open = [start];
      seen[start] = 1;
      let area = 0;
      for (let at = open.pop(); at !== undefined; at = open.pop()) {
        area++;
        for (const [dx, dy] of [-1, 0, 1].flatMap((x) => [-1, 0, 1].map((y) => [x, y] as const))) {
          const x: number = (at % width) + dx;
          const y: number = Math.floor(at / width) + dy;
          const next = y * width + x;
          if (x < 0 || y < 0 || x >= width || y >= height || data[next] === 0 || seen[next]) continue;
          seen[next] = 1;
          open.push(next);
        }
      }
      areas.push(area);
    }
    const found = connectedComponents({ data, width, height }, 0.5, 1).map(({ area }) => area);
    expect(found.sort((a, b) => a - b)).toEqual(areas.sort((a, b) => a - b));
  });
});

describe("regions", () => {
  const map = drawn(
    "....................", //
    "..######............",
    "..######........++..",
    "..######........++..",
    "....................",
    "...........#........",
  );

  it("come with box, contour, share and mean probability, the most weighty first", () => {
    const [first, second, ...others] = findRegions(map, 0.5, 2 / 120);
    expect(others).toEqual([]);
    expect(first).toEqual({
      id: "r1",
      bbox: { x: 2, y: 1, width: 6, height: 3 },
      polygon: [
        [8, 1],
        [8, 4],
        [2, 4],
        [2, 1],
      ],
      area_fraction: 18 / 120,
      score: 0.8,
      manipulation: null,
      artifacts: [],
      position: { absolute: "middle left", relative: "left of r2" },
      content: null,
      content_confidence: null,
      interpretation: null,
    });
    expect(second).toMatchObject({ id: "r2", score: 0.6, position: { absolute: "middle right" } });
  });

  it("leave out specks and what lies below the threshold", () => {
    expect(findRegions(map, 0.7, 2 / 120)).toHaveLength(1);
    expect(findRegions(map, 0.5, 0)).toHaveLength(3);
    expect(findRegions(map, 0.9, 0)).toEqual([]);
  });

  it("of a map too large to search as it is lie where they lie, to the reduced pixel", () => {
    const [width, height] = [5001, 3999];
    const data = new Uint8Array(width * height);
    for (let y = 1000; y < 1600; y++) data.fill(204, y * width + 2000, y * width + 3000);
    data.fill(255, (height - 90) * width);
    const [middle, edge] = findRegions({ data, width, height }, 0.5, 0.0005);
    expect(edge?.bbox).toEqual({ x: 0, y: 3908, width: 5001, height: 91 });
    expect(middle?.bbox).toEqual({ x: 2000, y: 1000, width: 1000, height: 600 });
    expect(middle?.area_fraction).toBeCloseTo((600 * 1000) / (width * height), 4);
    expect(middle?.score).toBeCloseTo(0.8, 2);
    expect(areaOf(middle?.polygon ?? [])).toBe(1000 * 600);
  });

  it("are at most fifty", () => {
    const data = Uint8Array.from({ length: 200 * 3 }, (_, i) => (i < 200 && i % 2 === 0 ? 255 : 0));
    expect(findRegions({ data, width: 200, height: 3 }, 0.5, 0)).toHaveLength(50);
  });

  it("name where they are", () => {
    const corner = drawn("#........", "#........", ".........", ".........", ".........", ".........");
    expect(findRegions(corner, 0.5, 0)[0]?.position.absolute).toBe("upper left");
    const whole = drawn("###", "###", "##.");
    expect(findRegions(whole, 0.5, 0)[0]?.position.absolute).toBe("most of the image");
  });
});

describe("contours", () => {
  it("run around pixels that touch at a corner, and around no hole", () => {
    const diagonal = findRegions(drawn("##..", "##..", "..##", "..##"), 0.5, 0);
    expect(diagonal).toHaveLength(1);
    expect(areaOf(diagonal[0]?.polygon ?? [])).toBe(8);
    const ring = findRegions(drawn("#####", "#...#", "#...#", "#...#", "#####"), 0.5, 0);
    expect(areaOf(ring[0]?.polygon ?? [])).toBe(25);
  });

  it("of a large disc have few corners and its area, on coarser cells as well", () => {
    for (const [side, tolerance] of [
      [400, 0.03],
      [3000, 0.03],
    ] as const) {
      const radius = side * 0.45;
      const data = new Uint8Array(side * side);
      for (let i = 0; i < data.length; i++) {
        const inside = Math.hypot((i % side) - side / 2, Math.floor(i / side) - side / 2) <= radius;
        data[i] = inside ? 255 : 0;
      }
      const [disc] = findRegions({ data, width: side, height: side }, 0.5, 0);
      expect(disc?.polygon.length).toBeLessThan(60);
      expect(Math.abs(areaOf(disc?.polygon ?? []) / (Math.PI * radius ** 2) - 1)).toBeLessThan(tolerance);
    }
  });

  it("never have more than two hundred corners", () => {
    const side = 1000;
    const data = new Uint8Array(side * side);
    // A comb: its teeth are thicker than the first tolerance.
    for (let i = 0; i < data.length; i++) data[i] = Math.floor(i / side) < 100 || (i % side) % 8 < 4 ? 255 : 0;
    const [comb] = findRegions({ data, width: side, height: side }, 0.5, 0);
    expect(comb?.polygon.length).toBeLessThanOrEqual(200);
    expect(comb?.polygon.length).toBeGreaterThan(3);
  });

  it("are simplified within the tolerance", () => {
    const square: Point[] = [
      [0, 0],
      [5, 0.4],
      [10, 0],
      [10, 10],
      [5, 14],
      [0, 10],
    ];
    expect(simplifyRing(square, 1)).toEqual([
      [0, 0],
      [10, 0],
      [10, 10],
      [5, 14],
      [0, 10],
    ]);
  });
});
