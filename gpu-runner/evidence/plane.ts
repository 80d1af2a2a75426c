/** One channel of an image as numbers, for checks that compute on pixels. */

export interface Plane {
  /** 0 to 255, row by row. */
  readonly data: Float32Array;
  readonly width: number;
  readonly height: number;
}

export interface RgbPixels {
  /** Row by row. */
  readonly pixels: Uint8Array;
  readonly width: number;
  readonly height: number;
}

export type Point = readonly [x: number, y: number];

/** Luma as JPEG defines it (ITU-T T.871), not rounded: rounding would blur the steps of a quantization. */
export function lumaOf({ pixels, width, height }: RgbPixels): Plane {
  const data = new Float32Array(width * height);
  for (let i = 0, at = 0; i < data.length; i++, at += 3) {
    data[i] = 0.299 * (pixels[at] ?? 0) + 0.587 * (pixels[at + 1] ?? 0) + 0.114 * (pixels[at + 2] ?? 0);
  }
  return { data, width, height };
}

/** 1 where a pixel's centre lies inside the polygon (even-odd rule). */
export function rasterize(polygon: readonly Point[], width: number, height: number): Uint8Array {
  const inside = new Uint8Array(width * height);
  const crossings: number[][] = Array.from({ length: height }, () => []);
  polygon.forEach(([x1, y1], i) => {
    const [x2, y2] = polygon[(i + 1) % polygon.length] ?? [x1, y1];
    const from = Math.max(0, Math.ceil(Math.min(y1, y2) - 0.5));
    const to = Math.min(height, Math.ceil(Math.max(y1, y2) - 0.5));
    for (let y = from; y < to; y++) crossings[y]?.push(x1 + ((y + 0.5 - y1) / (y2 - y1)) * (x2 - x1));
  });
  crossings.forEach((row, y) => {
    row.sort((a, b) => a - b);
    for (let i = 0; i + 1 < row.length; i += 2) {
      const from = Math.max(0, Math.ceil((row[i] ?? 0) - 0.5));
      const to = Math.min(width, Math.ceil((row[i + 1] ?? 0) - 0.5));
      if (to > from) inside.fill(1, y * width + from, y * width + to);
    }
  });
  return inside;
}

export function median(values: ArrayLike<number>): number {
  if (values.length === 0) return 0;
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
