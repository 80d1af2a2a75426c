/** All that checks say, in English. Another language is another file of the same shape, beside its counterpart of en.ts. */
import type {
  CaveatCode,
  CaveatFacts,
  CheckName,
  Degradation,
  EvidenceCode,
  EvidenceDetails,
} from "../evidence/codes.ts";
import { formatName } from "../image/format.ts";

export interface Statement {
  /** What was found. */
  readonly summary: string;
  /** What that says, and what it does not prove. */
  readonly meaning: string;
  /** What a person should do about it; null: nothing. */
  readonly next: string | null;
}

const percent = (fraction: number) => `${Math.round(fraction * 100)} %`;
const list = (items: readonly string[], most = 4) =>
  items.length <= most ? items.join(", ") : `${items.slice(0, most).join(", ")} and ${items.length - most} more`;
const factors = (values: readonly number[]) =>
  values.length === 0 ? "" : ` (a factor of ${values.map((value) => value.toFixed(2)).join(" or ")} would do that)`;

const compare =
  "Compare the place with its surroundings at full size, and ask for the file from which the image was made.";

export const evidenceWords: {
  readonly [Code in EvidenceCode]: (details: EvidenceDetails[Code]) => Statement;
} = {
  modality: ({ modality, jpeg_traces_available }) => ({
    summary:
      modality === "fused"
        ? "The modal gate chose pixels and frequency traces together."
        : "The modal gate chose the pixels alone.",
    meaning: jpeg_traces_available
      ? "That is how the network judged; it says nothing about the image."
      : "The file is not a colour JPEG, so there were no JPEG coefficients to compare.",
    next: null,
  }),

  no_metadata: () => ({
    summary: "The file carries no metadata.",
    meaning:
      "Messengers, social networks and many websites remove it. That it is missing says nothing for or against the image.",
    next: "If it matters where the image comes from, ask for the file as the camera made it.",
  }),
  camera: ({ camera, taken }) => ({
    summary: `The metadata names ${camera} as the camera${taken === null ? "" : `, on ${taken}`}.`,
    meaning: "Metadata can be copied and changed; it is a hint, not proof of the origin.",
    next: null,
  }),
  orientation_tag: ({ orientation }) => ({
    summary: `The file asks to be turned for display (EXIF orientation ${orientation}).`,
    meaning: "Cameras write this when they are held upright. All coordinates are those of the displayed image.",
    next: null,
  }),
  editing_software: ({ software }) => ({
    summary: `The file was last written by ${software}, a program that edits images.`,
    meaning:
      "That alone does not mean its content was changed: most photographs are cropped or brightened before they are shown.",
    next: "Ask what was edited, and for the file before that.",
  }),
  editing_history: ({ programs, actions }) => ({
    summary: `An editing history names ${list(programs.length > 0 ? programs : actions)}.`,
    meaning:
      "The file was opened and saved by an editor at least once. The history says when, seldom what was changed.",
    next: "Ask what was edited, and for the file before that.",
  }),
  photoshop_blocks: ({ blocks }) => ({
    summary: `The file holds blocks that Photoshop and programs like it write (${list(blocks)}).`,
    meaning: "Such a program has saved the file, whatever other metadata says. It says nothing about what was changed.",
    next: "Ask what was edited, and for the file before that.",
  }),
  modified_after_capture: ({ taken, modified }) => ({
    summary: `By its metadata the photograph was taken at ${taken} and the file changed at ${modified}.`,
    meaning: "Turning, renaming or rating it in a library does that as well as editing.",
    next: null,
  }),
  dates_contradict: ({ reason, dates }) => ({
    summary: {
      captured_after_modified: `By its metadata the file was last changed (${dates["modified"]}) before the photograph was taken (${dates["taken"]}).`,
      in_the_future: `By its metadata the photograph was taken in the future (${dates["taken"]}).`,
      gps_differs: `The camera's date (${dates["taken"]}) and the satellites' date (${dates["gps"]}) are more than a day apart.`,
    }[reason],
    meaning: "A clock that was never set does that, and so do dates that were changed by hand.",
    next: "Do not rely on the dates of this file.",
  }),
  size_differs_from_metadata: ({ recorded, stored }) => ({
    summary: `The camera recorded ${recorded.join("×")} pixels, the file has ${stored.join("×")}.`,
    meaning:
      "The image was cropped or resized after it was taken, by a program that left the old size in the metadata.",
    next: "Ask for the uncropped file.",
  }),
  thumbnail_differs: ({ place }) => ({
    summary: `The small preview in the metadata shows something else than the image, most of all at the ${place}.`,
    meaning:
      "An editor that forgets the preview leaves in it what the photograph showed before. Heavy filters can do that, too.",
    next: "Extract the preview (`exiftool -b -ThumbnailImage`) and look at both side by side.",
  }),
  thumbnail_agrees: () => ({
    summary: "The small preview in the metadata shows the same as the image.",
    meaning: "Most editors make a new preview, so that this proves nothing; it only contradicts nothing.",
    next: null,
  }),
  declared_generated: ({ source, statement }) => ({
    summary: {
      xmp: `The metadata declares the image to be made by a model (${statement}).`,
      png_text: `The file holds the settings of an image generator (${statement}).`,
      c2pa: `Its Content Credentials declare the image to be made by a model (${statement}).`,
    }[source],
    meaning:
      "The program that made the file says so itself. All of the picture may be generated, so that no single region stands out.",
    next: "Treat the image as generated unless whoever made it shows otherwise.",
  }),
  platform_trace: ({ platform }) => ({
    summary: `The metadata carries a mark of ${platform}.`,
    meaning:
      "The platform has resized and compressed the image again. Traces of earlier edits are weaker than in the original.",
    next: "Ask for the file that was uploaded there.",
  }),

  quantization_table_standard: ({ quality }) => ({
    summary: `The quantization table is libjpeg's for quality ${quality}.`,
    meaning: "Most software writes it when it saves, and many telephones do: it tells neither from the other.",
    next: null,
  }),
  quantization_table_editor: ({ software }) => ({
    summary: `The quantization tables are those of ${list(software)}.`,
    meaning: "The file was last saved by that program. That alone does not mean its content was changed.",
    next: "Ask what was edited, and for the file before that.",
  }),
  quantization_table_camera: ({ cameras }) => ({
    summary: `The quantization tables were seen in files of ${list(cameras)}.`,
    meaning: "The file may be as that kind of camera wrote it. Tables can be written by other software as well.",
    next: null,
  }),
  quantization_table_custom: ({ nearest_quality }) => ({
    summary: `The quantization table is none of libjpeg's; it compresses about as its quality ${nearest_quality}.`,
    meaning: "Cameras and some editors bring their own.",
    next: null,
  }),
  double_compression: ({ earlier_quality, present_quality }) => ({
    summary: `The image was a JPEG of about quality ${earlier_quality} before it was saved at ${present_quality}.`,
    meaning:
      "It was opened and saved again. Messengers, websites and harmless edits do that, so that this proves no manipulation.",
    next: "Ask for the file before it was saved again.",
  }),
  earlier_jpeg: ({ earlier_quality }) => ({
    summary: `The image was a JPEG of about quality ${earlier_quality} before it became this file.`,
    meaning: "It was converted, pasted or edited since then. Screenshots and exports do that without any manipulation.",
    next: "Ask for that JPEG.",
  }),
  cropped_after_compression: ({ grid_offset }) => ({
    summary: `The 8×8 grid of an earlier JPEG is shifted by ${grid_offset.join(" and ")} pixels.`,
    meaning:
      "The image was cropped, or moved within a larger one, after it was compressed. That proves no manipulation.",
    next: "Ask for the uncropped file.",
  }),
  region_compression_differs: ({ region, region_quality, image_quality }) => ({
    summary:
      region_quality !== null && image_quality !== null
        ? `${region} was once saved at about quality ${region_quality}, the rest of the image at ${image_quality}.`
        : region_quality !== null
          ? `${region} was once saved at about quality ${region_quality}, the rest of the image was not.`
          : `The rest of the image was once saved at about quality ${image_quality}, ${region} was not.`,
    meaning:
      "The region and its surroundings were compressed apart from each other, as happens when something is put into a photograph.",
    next: compare,
  }),
  jpeg_ghost: ({ region, quality, depth, image_depth }) => ({
    summary:
      depth > image_depth
        ? `${region} keeps the traces of a JPEG of about quality ${quality} that the rest of the image does not have.`
        : `The image keeps the traces of a JPEG of about quality ${quality} that are missing in ${region}.`,
    meaning:
      "The region and its surroundings were compressed apart from each other, as happens when something is put into a photograph.",
    next: compare,
  }),
  jpeg_grid_shifted: ({ region }) => ({
    summary: `The 8×8 grid of an earlier JPEG lies elsewhere in ${region} than in the rest of the image.`,
    meaning:
      "The region was compressed in another place before it came here, as happens when it is pasted in or moved.",
    next: compare,
  }),
  one_compression: () => ({
    summary: "No trace of an earlier compression was found.",
    meaning:
      "An earlier save at a higher quality than the present one leaves none, and neither does one before resizing: the image may still have been edited.",
    next: null,
  }),

  no_content_credentials: () => ({
    summary: "The file carries no Content Credentials (C2PA).",
    meaning:
      "Most cameras and programs write none, and most platforms remove them. Their absence says nothing for or against the image.",
    next: null,
  }),
  content_credentials_valid: ({ signer, issuer, trusted, actions }) => ({
    summary: `Intact Content Credentials, signed by ${signer ?? "an unnamed certificate"}${issuer === null ? "" : ` (${issuer})`}${
      actions.length === 0
        ? ""
        : `, tell of: ${list(
            actions.map(({ description }) => description),
            6,
          )}`
    }.`,
    meaning: trusted
      ? "The signer is on the trust list of this service, and the file is as it was signed. What was signed is the signer's word."
      : "The file is as it was signed. Nobody on the trust list of this service vouches for the certificate: anyone can make one.",
    next: trusted ? null : "Check who the signer is before relying on it.",
  }),
  content_credentials_invalid: ({ failures }) => ({
    summary: `The Content Credentials do not fit the file: ${
      list(
        failures.map(({ explanation }) => explanation),
        2,
      ) || "they cannot be verified"
    }.`,
    meaning:
      "The file or its credentials were changed after they were signed. A program that does not know of credentials does that, too, when it saves.",
    next: "Ask for the file as it was signed; do not rely on what these credentials say.",
  }),
  content_credentials_elsewhere: ({ address }) => ({
    summary: `The metadata says that Content Credentials are kept at ${address}.`,
    meaning: "They were not fetched: a request would tell that address who is looking at the image.",
    next: "Verify the file with a tool that may ask that address, if you trust it.",
  }),

  copied_region: ({ region, similarity }) => ({
    summary: `${region} shows the same, to the grain, as another place of the image (agreement ${percent(similarity)}); the overlay marks that place.`,
    meaning: "One of the two was copied from the other. Machine-made patterns that truly repeat can look like that.",
    next: "Look at both places side by side: real things that are alike differ in dirt, folds and noise.",
  }),
  similar_places: ({ similarity }) => ({
    summary: `Two places of the image look alike (agreement ${percent(similarity)}), which is not enough to call one a copy of the other.`,
    meaning: "Windows, letters and printed patterns repeat without any manipulation.",
    next: "If nothing there should repeat, compare the two places.",
  }),
  no_copy_found: () => ({
    summary: "No place was found again elsewhere in the image.",
    meaning: "Copies of plain surfaces, small ones and such as were retouched are not found in this way.",
    next: null,
  }),

  resampled_image: ({ factors: values }) => ({
    summary: `The whole image was resized${factors(values)}.`,
    meaning: "Resizing is ordinary; it weakens the traces of everything that was done before.",
    next: "Ask for the file in its original size.",
  }),
  resampled_region: ({ region, factors: values }) => ({
    summary: `${region} was resized${factors(values)}, the rest of the image was not.`,
    meaning: "Something that is fitted into a photograph is scaled or turned first; that leaves such a period.",
    next: compare,
  }),
  no_resampling_found: () => ({
    summary: "No trace of resizing was found.",
    meaning: "Reducing an image, and strong compression afterwards, hide it.",
    next: null,
  }),
};

export const caveatWords: { readonly [Code in CaveatCode]: (facts: CaveatFacts[Code]) => string } = {
  small: ({ shorter }) =>
    `The shorter side has only ${shorter} pixels; small manipulations may go unseen and authentic detail may look odd.`,
  too_small: ({ shorter }) =>
    `The shorter side has only ${shorter} pixels, too few to compare one part with another; that nothing was found says nothing.`,
  not_jpeg: ({ format }) =>
    `The file is a ${formatName(format)}: JPEG frequency traces of the original are not available in it.`,
  heavily_compressed: ({ quality }) =>
    `The JPEG has about quality ${quality}; compression this strong hides traces of editing.`,
  extremely_compressed: ({ quality }) =>
    `The JPEG has about quality ${quality}; compression this strong wipes out traces of editing, so that nothing found says nothing.`,
  resized: ({ factors: values }) =>
    `The image was resized${factors(values)}; that weakens the traces of what was done before.`,
  enlarged: ({ bandwidth }) =>
    `The image holds no detail beyond ${percent(bandwidth)} of what its pixels could show: it was enlarged or is out of focus, so that nothing found says little.`,
  possibly_resized: ({ longer }) =>
    `The longer side is exactly ${longer} pixels and camera data is missing, as after a messenger or social network, which resize and compress again.`,
  screenshot: ({ width, height }) =>
    `The image is a screenshot (${width}×${height}); it keeps few traces of what it shows. Send the file that was shown.`,
  screenshot_like: ({ width, height }) =>
    `The image is exactly as large as a common screen (${width}×${height}); a screenshot keeps few traces of what it shows.`,
  rephotographed: ({ peaks }) =>
    `A regular raster lies over the whole image (${peaks} lines in its spectrum), as in a photograph of a screen or a scan of a print: its traces are those of the raster, so that nothing found says nothing.`,
  first_of_several: ({ frames }) => `The file holds ${frames} images or frames; only the first was analysed.`,
};

export function degradationWords(check: CheckName, degradation: Degradation): string {
  switch (degradation.reason) {
    case "damaged":
      return `The ${degradation.what} cannot be read: ${degradation.error}.`;
    case "too_large":
      return `The ${degradation.what} is larger than what is examined (${degradation.limit}).`;
    case "out_of_time":
      return `Given up after ${degradation.milliseconds} ms.`;
    case "failed":
    case "thread_lost":
      return `The check failed: ${degradation.error}.`;
    case "cut_short":
      return `Only ${degradation.examined} of ${degradation.of} regions were looked at${check === "text" ? " for text" : ""}.`;
  }
}

/** C2PA's actions (specification 2.x), in words. */
const actionWords: Readonly<Record<string, string>> = {
  "c2pa.created": "created",
  "c2pa.opened": "opened",
  "c2pa.placed": "something placed into it",
  "c2pa.cropped": "cropped",
  "c2pa.resized": "resized",
  "c2pa.edited": "edited",
  "c2pa.edited.metadata": "metadata edited",
  "c2pa.filtered": "filtered",
  "c2pa.color_adjustments": "colours adjusted",
  "c2pa.drawing": "drawn on",
  "c2pa.orientation": "turned",
  "c2pa.removed": "something removed",
  "c2pa.converted": "converted",
  "c2pa.transcoded": "compressed again",
  "c2pa.repackaged": "repackaged",
  "c2pa.published": "published",
  "c2pa.watermarked": "watermarked",
  "c2pa.redacted": "parts of the credentials redacted",
  "c2pa.unknown": "something unknown done",
};

export function actionInWords(action: string): string {
  return actionWords[action] ?? action;
}
