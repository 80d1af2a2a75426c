/** Caveats about the input: why an answer may be less certain than usual. */
import type { Finding } from "@omni-iml/shared/analysis";
import { formatName } from "../image/format.ts";

type Caveat = Finding["input_quality"][number];

/** A shorter side below this leaves few blocks to compare with each other. */
const smallSide = 256;
/** libjpeg quality below which quantization wipes out most traces of earlier edits. */
const heavyCompression = 60;

/** Screens of common computers, tablets and telephones, longer side first. */
const screens = new Set(
  "1280x720 1366x768 1440x900 1536x864 1600x900 1680x1050 1920x1080 1920x1200 2560x1440 2560x1600 2880x1800 3024x1964 3456x2234 3840x2160 2048x1536 2224x1668 2388x1668 2732x2048 1334x750 1792x828 2340x1080 2400x1080 2436x1125 2532x1170 2556x1179 2622x1206 2688x1242 2778x1284 2796x1290 2868x1320 3120x1440 3200x1440".split(
    " ",
  ),
);
/** Longer sides to which messengers and social networks resize. */
const sharedSides = new Set([960, 1280, 1600, 2048]);

export function inputCaveats(image: Finding["image"], fromCamera: boolean): Caveat[] {
  const caveats: Caveat[] = [];
  const longer = Math.max(image.width, image.height);
  const shorter = Math.min(image.width, image.height);
  if (shorter < smallSide) {
    caveats.push({
      code: "small",
      summary: `The shorter side has only ${shorter} pixels; small manipulations may go unseen and authentic detail may look odd.`,
    });
  }
  if (image.jpeg === null) {
    caveats.push({
      code: "not_jpeg",
      summary: `The file is a ${formatName(image.format)}: JPEG frequency traces of the original are not available in it.`,
    });
  } else if (image.jpeg.quality !== null && image.jpeg.quality < heavyCompression) {
    caveats.push({
      code: "heavily_compressed",
      summary: `The JPEG has quality ${image.jpeg.quality}; compression this strong hides traces of editing.`,
    });
  }
  if (image.format !== "jpeg" && screens.has(`${longer}x${shorter}`)) {
    caveats.push({
      code: "screenshot_like",
      summary: `The image is exactly as large as a common screen (${image.width}×${image.height}); a screenshot keeps few traces of what it shows.`,
    });
  } else if (image.format === "jpeg" && sharedSides.has(longer) && !fromCamera) {
    caveats.push({
      code: "possibly_resized",
      summary: `The longer side is exactly ${longer} pixels and camera data is missing, as after a messenger or social network, which resize and compress again.`,
    });
  }
  if (image.frames > 1) {
    caveats.push({
      code: "first_of_several",
      summary: `The file holds ${image.frames} images or frames; only the first was analysed.`,
    });
  }
  return caveats;
}
