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
