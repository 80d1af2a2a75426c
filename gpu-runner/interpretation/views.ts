/**
 * What the interpretation network is shown of each region: the whole image, a close-up, and a detail at native
 * resolution, each with the region's mask. The rules are those of model/interpretation/README.md.
 */
import type { Region } from "@omni-iml/shared/analysis";
import sharp, { type Sharp } from "sharp";
import { type GreyMap, greyImage } from "../image/encode.ts";
import { type Orientation, storedPoint } from "../image/orientation.ts";
import type { RgbImage } from "../inference/tiler.ts";

export const side = 192;
export const viewCount = 3;
/** Of a close-up: its side over the longer side of the region's box, and pixels at least. */
const margin = 1.5;
const smallestCloseUp = 64;
/** Boxes up to it are shown whole in the detail. */
const fitsDetail = 160;
const jpegBlock = 8;

export interface Frame {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** A region on the stored grid. */
export interface StoredRegion {
  readonly box: Frame;
  readonly polygon: readonly (readonly [number, number])[];
}

export interface Views {
  /** uint8 [regions, 3, 192, 192, 3] */
  readonly views: Uint8Array;
  /** uint8 [regions, 3, 192, 192] */
  readonly masks: Uint8Array;
}

type Size = Pick<RgbImage, "width" | "height">;

export function onStoredGrid(
  region: Pick<Region, "bbox" | "polygon">,
  size: Size,
  orientation: Orientation,
): StoredRegion {
  const { x, y, width, height } = region.bbox;
  const [ax, ay] = storedPoint([x, y], size, orientation);
  const [bx, by] = storedPoint([x + width, y + height], size, orientation);
  return {
    box: { left: Math.min(ax, bx), top: Math.min(ay, by), width: Math.abs(ax - bx), height: Math.abs(ay - by) },
    polygon: region.polygon.map((point) => storedPoint(point, size, orientation)),
  };
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}

/** A square around the region's box, pushed back into the image, cut where it is larger. */
export function closeUpOf({ left, top, width, height }: Frame, image: Size): Frame {
  const wanted = Math.max(smallestCloseUp, Math.floor(margin * Math.max(width, height) + 0.5));
  const [w, h] = [Math.min(wanted, image.width), Math.min(wanted, image.height)];
  return {
    left: clamp(Math.floor((2 * left + width - w) / 2), 0, image.width - w),
    top: clamp(Math.floor((2 * top + height - h) / 2), 0, image.height - h),
    width: w,
    height: h,
  };
}

/** Around the box's middle where it fits, else around the region's left border in the middle row; what lies beyond the image is left out. */
export function detailOf({ box, polygon }: StoredRegion, image: Size): Frame {
  const y = Math.floor((2 * box.top + box.height) / 2);
  const x =
    Math.max(box.width, box.height) > fitsDetail
      ? leftmostAt(polygon, y + 0.5, box.left)
      : Math.floor((2 * box.left + box.width) / 2);
  const origin = (centre: number, length: number) =>
    Math.floor(clamp(centre - side / 2, 0, Math.max(0, length - side)) / jpegBlock) * jpegBlock;
  const [left, top] = [origin(x, image.width), origin(y, image.height)];
  return { left, top, width: Math.min(side, image.width - left), height: Math.min(side, image.height - top) };
}

/** The first column of a contour in a row; `otherwise` where the row misses it. */
function leftmostAt(polygon: StoredRegion["polygon"], row: number, otherwise: number): number {
  let leftmost = Number.POSITIVE_INFINITY;
  polygon.forEach(([ax, ay], i) => {
    const [bx, by] = polygon[(i + 1) % polygon.length] ?? [ax, ay];
    if (ay > row !== by > row) leftmost = Math.min(leftmost, ax + ((bx - ax) * (row - ay)) / (by - ay));
  });
  return Number.isFinite(leftmost) ? Math.round(leftmost) : otherwise;
}

function squeezed(image: Sharp): Sharp {
  return image.resize(side, side, { fit: "fill", kernel: "lanczos3" });
}

/** The region's contour as it lies in a frame, 255 inside: greyscale, 192×192, no values between. */
function contourIn(frame: Frame, polygon: StoredRegion["polygon"], squeeze: boolean): Promise<Buffer> {
  const [width, height] = squeeze ? [side, side] : [frame.width, frame.height];
  const points = polygon.map(([x, y]) => `${x},${y}`).join(" ");
  const drawing = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" preserveAspectRatio="none" viewBox="${frame.left} ${frame.top} ${frame.width} ${frame.height}"><polygon points="${points}" fill="#fff" shape-rendering="crispEdges"/></svg>`;
  return sharp(Buffer.from(drawing))
    .flatten({ background: "#000" })
    .toColourspace("b-w")
    .threshold(128)
    .extend({ right: side - width, bottom: side - height, background: "#000" })
    .raw()
    .toBuffer();
}

/**
 * The views of some regions of one image.
 *
 * @param marked 255 where the probability reaches the threshold, on the stored grid: the pixels of all regions.
 */
export async function viewsOf(image: RgbImage, marked: GreyMap, regions: readonly StoredRegion[]): Promise<Views> {
  const raw = { width: image.width, height: image.height, channels: 3 } as const;
  const pixels = () => sharp(image.pixels, { raw, limitInputPixels: false });
  const whole = { left: 0, top: 0, width: image.width, height: image.height };
  const [wholeView, wholeMarked] = await Promise.all([
    squeezed(pixels()).raw().toBuffer(),
    squeezed(greyImage(marked)).toColourspace("b-w").raw().toBuffer(),
  ]);
  const grey = { raw: { width: side, height: side, channels: 1 as const } };

  /** The marked pixels of a frame that lie within the region's contour: its own and no other's. */
  async function maskIn(
    frame: Frame,
    region: StoredRegion,
    squeeze: boolean,
    cut: () => Sharp | Buffer,
  ): Promise<Buffer> {
    const contour = await contourIn(frame, region.polygon, squeeze);
    const found = cut();
    const shown = Buffer.isBuffer(found) ? found : await found.toColourspace("b-w").raw().toBuffer();
    return sharp(shown, grey).boolean(contour, "and", grey).toColourspace("b-w").raw().toBuffer();
  }

  async function viewsOfOne(region: StoredRegion): Promise<{ views: Buffer[]; masks: Buffer[] }> {
    const closeUp = closeUpOf(region.box, image);
    const detail = detailOf(region, image);
    const beyond = { right: side - detail.width, bottom: side - detail.height };
    const views = await Promise.all([
      wholeView,
      squeezed(pixels().extract(closeUp)).raw().toBuffer(),
      pixels()
        .extract(detail)
        .extend({ ...beyond, extendWith: "copy" })
        .raw()
        .toBuffer(),
    ]);
    const masks = await Promise.all([
      maskIn(whole, region, true, () => wholeMarked),
      maskIn(closeUp, region, true, () => squeezed(greyImage(marked).extract(closeUp))),
      maskIn(detail, region, false, () =>
        greyImage(marked)
          .extract(detail)
          .extend({ ...beyond, background: "#000" }),
      ),
    ]);
    return { views, masks };
  }

  const shown = [];
  // One region at a time: together they would hold a copy of everything that a close-up of a large region reads.
  for (const region of regions) shown.push(await viewsOfOne(region));
  return {
    views: Buffer.concat(shown.flatMap(({ views }) => views)),
    masks: Buffer.concat(shown.flatMap(({ masks }) => masks)),
  };
}
