/** The two pictures of a report, small enough to be embedded: the image as displayed, and the overlay. */
import sharp from "sharp";
import { displayedImage, rgbPicture } from "../image/displayed.ts";
import type { Orientation } from "../image/orientation.ts";
import type { RgbImage } from "../inference/tiler.ts";

/** Pixels of the longer side: 200 dpi across the text of an A4 page. */
const longestSide = 1400;
const quality = 88;

export interface ReportPictures {
  /** JPEG. */
  readonly image: Uint8Array;
  /** JPEG, of the same proportions. */
  readonly overlay: Uint8Array;
}

/** @param overlay the PNG that is an output of the analysis. */
export async function reportPictures(
  stored: RgbImage,
  orientation: Orientation,
  overlay: Uint8Array,
): Promise<ReportPictures> {
  const displayed = await displayedImage(stored, orientation, longestSide);
  const [image, tinted] = await Promise.all([
    rgbPicture(displayed).jpeg({ quality }).toBuffer(),
    sharp(overlay)
      .resize(longestSide, longestSide, { fit: "inside", withoutEnlargement: true })
      // Thin outlines on a tint lose too much to halved chroma.
      .jpeg({ quality, chromaSubsampling: "4:4:4" })
      .toBuffer(),
  ]);
  return { image, overlay: tinted };
}
