/** The EXIF orientation tag (EXIF 2.32, tag 0x0112): how the stored grid is turned to be displayed. */
import type { Sharp } from "sharp";

export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

/** Anything but 1 to 8 means what a missing tag means: as stored. */
export function parseOrientation(tag: number | undefined): Orientation {
  switch (tag) {
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
      return tag;
    default:
      return 1;
  }
}

export function displayedSize(width: number, height: number, orientation: Orientation) {
  return orientation >= 5 ? { width: height, height: width } : { width, height };
}

/** Turns an image from the stored grid to how it is displayed. sharp flips and flops first, then rotates. */
export function orient(image: Sharp, orientation: Orientation): Sharp {
  switch (orientation) {
    case 1:
      return image;
    case 2:
      return image.flop();
    case 3:
      return image.rotate(180);
    case 4:
      return image.flip();
    case 5:
      return image.flip().rotate(90);
    case 6:
      return image.rotate(90);
    case 7:
      return image.flop().rotate(90);
    case 8:
      return image.rotate(270);
  }
}

/** Where a point of the stored grid, whose size is given, lies on the displayed image; the inverse of `storedPoint`. */
export function displayedPoint(
  [x, y]: readonly [number, number],
  { width, height }: { readonly width: number; readonly height: number },
  orientation: Orientation,
): [number, number] {
  switch (orientation) {
    case 1:
      return [x, y];
    case 2:
      return [width - x, y];
    case 3:
      return [width - x, height - y];
    case 4:
      return [x, height - y];
    case 5:
      return [y, x];
    case 6:
      return [height - y, x];
    case 7:
      return [height - y, width - x];
    case 8:
      return [y, width - x];
  }
}

/** Where a point of the displayed image lies on the stored grid, whose size is given; corners of pixels, not centres. */
export function storedPoint(
  [u, v]: readonly [number, number],
  { width, height }: { readonly width: number; readonly height: number },
  orientation: Orientation,
): [number, number] {
  switch (orientation) {
    case 1:
      return [u, v];
    case 2:
      return [width - u, v];
    case 3:
      return [width - u, height - v];
    case 4:
      return [u, height - v];
    case 5:
      return [v, u];
    case 6:
      return [v, height - u];
    case 7:
      return [width - v, height - u];
    case 8:
      return [width - v, u];
  }
}
