/** Checks beside the network: each names what it found in the file, and none claims more than that. */
import type { Finding } from "@omni-iml/shared/analysis";
import type { DecodedImage } from "../image/decode.ts";
import { type Metadata, readMetadata } from "../image/metadata.ts";

type Item = Finding["evidence"][number];

export interface Evidence {
  readonly evidence: Item[];
  /** Whether the metadata names the camera. */
  readonly fromCamera: boolean;
  readonly degraded: Finding["degraded_checks"];
}

/** Programs that change pixels, as they name themselves in EXIF `Software`. */
const editors =
  /photoshop|gimp|lightroom|affinity|pixelmator|paint\.net|snapseed|picsart|canva|faceapp|facetune|meitu|luminar|capture one|corel|photopea|fotor|airbrush/i;

export async function gatherEvidence(image: DecodedImage, modality: Finding["modality"]): Promise<Evidence> {
  const evidence = [...compression(image), method(image, modality), ...orientation(image)];
  try {
    const metadata = await readMetadata(image.exif);
    return { evidence: [...evidence, ...origin(metadata)], fromCamera: metadata.camera !== null, degraded: [] };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const degraded = [{ check: "metadata", reason: `The EXIF block cannot be read: ${reason}.` }];
    return { evidence, fromCamera: false, degraded };
  }
}

function compression({ header: { jpeg } }: DecodedImage): Item[] {
  if (jpeg === null) return [];
  const standard = jpeg.quality !== null;
  return [
    {
      code: standard ? "quantization_table_standard" : "quantization_table_custom",
      family: "compression",
      severity: "info",
      summary: standard
        ? `The first quantization table is libjpeg's for quality ${jpeg.quality}, which most software writes when it saves.`
        : "The first quantization table is none of libjpeg's: cameras and some editors bring their own.",
      meaning: standard
        ? "The file was saved by ordinary software at least once; that says nothing about what is in it."
        : "The table can tell where a file comes from; by itself it proves nothing.",
      next_step: null,
      details: { quality: jpeg.quality, table: Array.from(jpeg.firstTable), progressive: jpeg.progressive },
    },
  ];
}

function method(image: DecodedImage, modality: Finding["modality"]): Item {
  return {
    code: "modality",
    family: "method",
    severity: "info",
    summary:
      modality === "fused"
        ? "The modal gate chose pixels and frequency traces together."
        : "The modal gate chose the pixels alone.",
    meaning: "It says how the image was looked at, not what was found in it.",
    next_step: null,
    details: { modality, jpeg_traces_available: image.jpeg },
  };
}

function orientation({ orientation: tag }: DecodedImage): Item[] {
  if (tag === 1) return [];
  return [
    {
      code: "orientation_tag",
      family: "metadata",
      severity: "info",
      summary: `The file asks to be turned for display (EXIF orientation ${tag}); all coordinates are those of the displayed image.`,
      meaning: "Cameras write such a tag whenever they are held upright; it is no sign of a manipulation.",
      next_step: null,
      details: { orientation: tag },
    },
  ];
}

function origin({ camera, software, taken, modified }: Metadata): Item[] {
  const items: Item[] = [];
  if (camera !== null) {
    items.push({
      code: "camera",
      family: "metadata",
      severity: "info",
      summary: `The metadata names ${camera} as the camera; metadata can be copied and changed.`,
      meaning: "It speaks for a file as a camera wrote it, as far as its metadata can be trusted.",
      next_step: null,
      details: { camera, taken },
    });
  }
  if (software !== null && editors.test(software)) {
    items.push({
      code: "editing_software",
      family: "metadata",
      severity: "low",
      summary: `The file was last written by ${software}, a program that edits images; that alone does not mean its content was changed.`,
      meaning: "The pixels may have been changed, or only cropped, turned or saved.",
      next_step: "Ask for the file as the camera wrote it.",
      details: { software, modified },
    });
  }
  // Dates are compared as written: "YYYY:MM:DD HH:MM:SS" sorts by time. A camera writes both at once.
  if (taken !== null && modified !== null && modified > taken) {
    items.push({
      code: "modified_after_capture",
      family: "metadata",
      severity: "low",
      summary: `By its metadata the photograph was taken at ${taken} and the file changed at ${modified}.`,
      meaning: "Something wrote the file after the photograph was taken; it may have changed no pixel.",
      next_step: "Ask for the file as the camera wrote it.",
      details: { taken, modified },
    });
  }
  return items;
}
