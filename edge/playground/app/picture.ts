/** Pictures as the browser can draw them. */
import type { Size } from "./viewport.ts";

/** Larger ones are drawn from a smaller copy: beyond this a bitmap takes more memory than a phone gives to a page. */
const mostPixels = 40e6;
const thumbnailWidth = 144;

/** What is shown and, once there is one, the map over it. Both cover `size`, whatever their own resolution. */
export interface Picture {
  size: Size;
  photo: ImageBitmap;
}

/** Throws where the browser does not know the format. */
export async function decode(blob: Blob): Promise<Picture> {
  const bitmap = await createImageBitmap(blob, { imageOrientation: "from-image" });
  const size = { width: bitmap.width, height: bitmap.height };
  const excess = (size.width * size.height) / mostPixels;
  if (excess <= 1) return { size, photo: bitmap };
  const resizeWidth = Math.floor(size.width / Math.sqrt(excess));
  const smaller = await createImageBitmap(bitmap, { resizeWidth, resizeQuality: "high" });
  bitmap.close();
  return { size, photo: smaller };
}

/** A `data:` address of a few kilobytes. */
export function thumbnail({ photo, size }: Picture): string | null {
  const canvas = document.createElement("canvas");
  canvas.width = thumbnailWidth;
  canvas.height = Math.min(2 * thumbnailWidth, Math.max(1, Math.round((size.height / size.width) * thumbnailWidth)));
  const context = canvas.getContext("2d");
  if (!context) return null;
  context.imageSmoothingQuality = "high";
  context.drawImage(photo, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/jpeg", 0.7);
}
