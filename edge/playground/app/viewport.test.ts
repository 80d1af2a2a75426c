import { describe, expect, it } from "vitest";
import { fit, lookAt, settle, visible, zoom } from "./viewport.ts";

const picture = { width: 4000, height: 3000 };
const pane = { width: 800, height: 800 };

describe("a picture in a pane", () => {
  it("is whole and in the middle at first", () => {
    expect(fit(picture, pane)).toEqual({ scale: 0.2, x: 0, y: 100 });
    expect(fit({ width: 100, height: 100 }, pane).scale).toBe(2);
  });

  it("keeps the point under the cursor where it is while it is enlarged", () => {
    const at = { x: 300, y: 420 };
    const before = fit(picture, pane);
    const after = zoom(before, 8, at, picture, pane);
    const under = ({ scale, x, y }: typeof before) => [(at.x - x) / scale, (at.y - y) / scale];
    expect(after.scale).toBeCloseTo(1.6);
    for (const [i, value] of under(after).entries()) expect(value).toBeCloseTo(under(before)[i] ?? Number.NaN);
  });

  it("neither leaves the pane nor shrinks below it, however it is pushed", () => {
    expect(settle({ scale: 1, x: 5000, y: -9000 }, picture, pane)).toEqual({ scale: 1, x: 0, y: -2200 });
    expect(zoom(fit(picture, pane), 0.01, { x: 0, y: 0 }, picture, pane)).toEqual(fit(picture, pane));
    expect(zoom(fit(picture, pane), 1e6, { x: 400, y: 400 }, picture, pane).scale).toBe(40);
  });

  it("shows a region in the middle, and knows which pixels are in view", () => {
    const box = { x: 1900, y: 1400, width: 200, height: 200 };
    const place = lookAt(box, picture, pane);
    const seen = visible(place, picture, pane);
    expect(seen.x + seen.width / 2).toBeCloseTo(2000, 0);
    expect(seen.y + seen.height / 2).toBeCloseTo(1500, 0);
    expect(seen.width).toBeGreaterThan(box.width);
    expect(visible(fit(picture, pane), picture, pane)).toEqual({ x: 0, y: 0, ...picture });
  });
});
