/**
 * What a language model is shown of the regions: the image, and for each region the reference visual prompt
 * I_ref = (I + M) / 2 of the whole image and of a close-up.
 */
import type { Region } from "@omni-iml/shared/analysis";
import sharp from "sharp";
import { displayedImage, rgbPicture } from "../image/displayed.ts";
import type { Orientation } from "../image/orientation.ts";
import { orient } from "../image/orientation.ts";
import type { RgbImage } from "../inference/tiler.ts";
import { closeUpOf, type Frame, onStoredGrid } from "./views.ts";

/** Regions of one image that a language model describes, the largest first: each is a request of its own. */
export const mostDescribed = 4;

const longestWhole = 1024;
const longestCloseUp = 768;
const quality = 90;

export interface PromptPictures {
  /** All JPEG. */
  readonly image: Uint8Array;
  readonly regions: {
    readonly id: string;
    readonly reference: Uint8Array;
    readonly closeUp: Uint8Array;
    readonly closeUpReference: Uint8Array;
  }[];
}

/** The mask as SVG, white inside and black outside at half opacity: laid over a picture it gives (I + M) / 2. */
function halfMask(polygon: Region["polygon"], frame: Frame, width: number, height: number): Buffer {
  const points = polygon.map(([x, y]) => `${x},${y}`).join(" ");
  const { left, top } = frame;
  return Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" preserveAspectRatio="none" viewBox="${left} ${top} ${frame.width} ${frame.height}"><g opacity=".5"><rect x="${left}" y="${top}" width="${frame.width}" height="${frame.height}"/><polygon points="${points}" fill="#fff"/></g></svg>`,
  );
}

export async function promptPictures(
  stored: RgbImage,
  orientation: Orientation,
  displayed: { readonly width: number; readonly height: number },
  regions: readonly Region[],
): Promise<PromptPictures> {
  const whole = await displayedImage(stored, orientation, longestWhole);
  const all: Frame = { left: 0, top: 0, ...displayed };
  const jpeg = { quality };

  async function picturesOf(region: Region): Promise<PromptPictures["regions"][number]> {
    const { x, y, width, height } = region.bbox;
    const frame = closeUpOf({ left: x, top: y, width, height }, displayed);
    const corners = { x: frame.left, y: frame.top, width: frame.width, height: frame.height };
    const { box } = onStoredGrid({ bbox: corners, polygon: [] }, stored, orientation);
    const cut = await rgbPicture(stored)
      .extract(box)
      .resize(longestCloseUp, longestCloseUp, { fit: "inside", withoutEnlargement: true })
      .png({ compressionLevel: 0 })
      .toBuffer();
    const turned = await orient(sharp(cut), orientation).raw().toBuffer({ resolveWithObject: true });
    const near = { pixels: turned.data, width: turned.info.width, height: turned.info.height };
    const masked = (picture: RgbImage, seen: Frame) =>
      rgbPicture(picture)
        .composite([{ input: halfMask(region.polygon, seen, picture.width, picture.height) }])
        .removeAlpha()
        .jpeg(jpeg)
        .toBuffer();
    const [reference, closeUp, closeUpReference] = await Promise.all([
      masked(whole, all),
      rgbPicture(near).jpeg(jpeg).toBuffer(),
      masked(near, frame),
    ]);
    return { id: region.id, reference, closeUp, closeUpReference };
  }

  const largest = [...regions].sort((a, b) => b.area_fraction - a.area_fraction).slice(0, mostDescribed);
  return {
    image: await rgbPicture(whole).jpeg(jpeg).toBuffer(),
    regions: await Promise.all(largest.map(picturesOf)),
  };
}
