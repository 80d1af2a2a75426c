/** The pictures of a report, small enough to be embedded: the image as displayed, the overlay, and each region. */
import type { Region } from "@omni-iml/shared/analysis";
import sharp from "sharp";
import { displayedImage, rgbPicture } from "../image/displayed.ts";
import { type Orientation, orient } from "../image/orientation.ts";
import type { RgbImage } from "../inference/tiler.ts";
import { closeUpOf, onStoredGrid } from "../interpretation/views.ts";
import { mostRows } from "./content.ts";

/** Pixels of the longer side: 200 dpi across the text of an A4 page. */
const longestSide = 1400;
const longestCrop = 320;
const quality = 88;

/** All JPEG. */
export interface ReportPictures {
  readonly image: Uint8Array;
  /** Of the same proportions as the image. */
  readonly overlay: Uint8Array;
  /** The regions in the table with what surrounds them, as in the image, at their own resolution where they are small. */
  readonly crops: { readonly id: string; readonly picture: Uint8Array }[];
}

/**
 * @param displayed the size in whose pixels the regions are given.
 * @param overlay the PNG that is an output of the analysis.
 */
export async function reportPictures(
  stored: RgbImage,
  orientation: Orientation,
  displayed: { readonly width: number; readonly height: number },
  overlay: Uint8Array,
  regions: readonly Pick<Region, "id" | "bbox">[],
): Promise<ReportPictures> {
  const [image, tinted, crops] = await Promise.all([
    displayedImage(stored, orientation, longestSide).then((shown) => rgbPicture(shown).jpeg({ quality }).toBuffer()),
    sharp(overlay)
      .resize(longestSide, longestSide, { fit: "inside", withoutEnlargement: true })
      // Thin outlines on a tint lose too much to halved chroma.
      .jpeg({ quality, chromaSubsampling: "4:4:4" })
      .toBuffer(),
    Promise.all(regions.slice(0, mostRows).map(crop)),
  ]);
  return { image, overlay: tinted, crops };

  async function crop({ id, bbox }: Pick<Region, "id" | "bbox">): Promise<ReportPictures["crops"][number]> {
    const { left, top, width, height } = closeUpOf(
      { left: bbox.x, top: bbox.y, width: bbox.width, height: bbox.height },
      displayed,
    );
    const { box } = onStoredGrid({ bbox: { x: left, y: top, width, height }, polygon: [] }, stored, orientation);
    const cut = await rgbPicture(stored)
      .extract(box)
      .resize(longestCrop, longestCrop, { fit: "inside", withoutEnlargement: true })
      .png({ compressionLevel: 0 })
      .toBuffer();
    return { id, picture: await orient(sharp(cut), orientation).jpeg({ quality }).toBuffer() };
  }
}
