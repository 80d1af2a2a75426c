import { describe, expect, it } from "vitest";
import { relativePosition } from "./relative-position.ts";

function box(id: string, x: number, y: number, width: number, height: number) {
  const polygon: [number, number][] = [
    [x, y],
    [x + width, y],
    [x + width, y + height],
    [x, y + height],
  ];
  return { id, bbox: { x, y, width, height }, polygon, area_fraction: (width * height) / 1e6 };
}

describe("relative positions", () => {
  const middle = box("r1", 100, 100, 50, 50);
  const to = (other: ReturnType<typeof box>) => relativePosition(other, [middle, other]);

  it("name the side on which a region lies", () => {
    expect(to(box("r2", 0, 110, 20, 20))).toBe("left of r1");
    expect(to(box("r2", 160, 110, 20, 20))).toBe("right of r1");
    expect(to(box("r2", 110, 0, 20, 20))).toBe("above r1");
    expect(to(box("r2", 110, 160, 20, 20))).toBe("below r1");
    expect(to(box("r2", 0, 0, 20, 20))).toBe("above and left of r1");
    expect(to(box("r2", 160, 160, 20, 20))).toBe("below and right of r1");
  });

  it("tell what lies within a larger one's contour from what lies within its box alone", () => {
    const small = box("r2", 110, 110, 10, 10);
    expect(relativePosition(small, [middle, small])).toBe("inside r1");
    expect(relativePosition(middle, [middle, small])).toBe("around r2");
    const angle: [number, number][] = [
      [100, 100],
      [150, 100],
      [150, 105],
      [105, 105],
      [105, 150],
      [100, 150],
    ];
    const hook = { ...middle, polygon: angle };
    const speck = box("r2", 140, 120, 4, 4);
    expect(relativePosition(speck, [hook, speck])).toBe("right of r1");
  });

  it("are to the nearest region, and null where there is no other", () => {
    const [near, far] = [box("r2", 160, 100, 20, 20), box("r3", 400, 100, 20, 20)];
    expect(relativePosition(far, [middle, near, far])).toBe("right of r2");
    expect(relativePosition(middle, [middle])).toBeNull();
  });
});
