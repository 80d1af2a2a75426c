/** Checks beside the network: each names what it found in the file, and none claims more than that. */
import type { Finding } from "@omni-iml/shared/analysis";
import type { DecodedImage } from "../image/decode.ts";

export interface Evidence {
  readonly evidence: Finding["evidence"];
  /** Whether the metadata names the camera. */
  readonly fromCamera: boolean;
  readonly degraded: Finding["degraded_checks"];
}

export async function gatherEvidence(image: DecodedImage, modality: Finding["modality"]): Promise<Evidence> {
  const evidence: Finding["evidence"] = [];
  const jpeg = image.header.jpeg;
  if (jpeg !== null) {
    evidence.push({
      code: jpeg.quality === null ? "quantization_table_custom" : "quantization_table_standard",
      family: "compression",
      severity: "info",
      summary:
        jpeg.quality === null
          ? "The luma quantization table is none of libjpeg's: cameras and some editors bring their own."
          : `The luma quantization table is libjpeg's for quality ${jpeg.quality}, which most software writes when it saves.`,
      details: { quality: jpeg.quality, table: Array.from(jpeg.firstTable), progressive: jpeg.progressive },
    });
  }
  evidence.push({
    code: "modality",
    family: "method",
    severity: "info",
    summary:
      modality === "fused"
        ? "The modal gate used the pixels and the JPEG frequency traces."
        : "The modal gate used the pixels only.",
    details: { modality, frequency_traces_available: image.jpeg },
  });
  if (image.orientation !== 1) {
    evidence.push({
      code: "orientation_tag",
      family: "metadata",
      severity: "info",
      summary: `The file asks to be turned for display (EXIF orientation ${image.orientation}); all coordinates are those of the displayed image.`,
      details: { orientation: image.orientation },
    });
  }
  return { evidence, fromCamera: false, degraded: [] };
}
