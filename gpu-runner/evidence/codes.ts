/** What checks can say: a closed list of codes, each with its family, its severity and the facts that it carries. */
import type { Finding } from "@omni-iml/shared/analysis";

export type Evidence = Finding["evidence"][number];
export type Severity = Evidence["severity"];
export type DegradedCheck = Finding["degraded_checks"][number];

type Corners = readonly (readonly [x: number, y: number])[];
/** Of the 8×8 grid of a JPEG against the image's upper left corner. */
type GridOffset = readonly [x: number, y: number];

/** The `details` of each code. Places are in pixels of the displayed image. */
export interface EvidenceDetails {
  modality: { modality: Finding["modality"]; jpeg_traces_available: boolean };

  no_metadata: Record<string, never>;
  camera: { camera: string; taken: string | null; software: string | null };
  orientation_tag: { orientation: number };
  editing_software: { software: string; modified: string | null };
  editing_history: { programs: string[]; actions: string[]; derived_from: string | null };
  photoshop_blocks: { blocks: string[] };
  modified_after_capture: { taken: string; modified: string };
  dates_contradict: {
    reason: "captured_after_modified" | "in_the_future" | "gps_differs";
    dates: Record<string, string>;
  };
  size_differs_from_metadata: { recorded: [number, number]; stored: [number, number] };
  thumbnail_differs: { correlation: number; largest_difference: number; place: string; size: [number, number] };
  thumbnail_agrees: { correlation: number; largest_difference: number };
  declared_generated: { source: "xmp" | "png_text" | "c2pa"; statement: string };
  platform_trace: { platform: string; trace: string };

  quantization_table_standard: { quality: number; table: number[]; progressive: boolean };
  quantization_table_editor: { software: string[]; nearest_quality: number; table: number[] };
  quantization_table_camera: { cameras: string[]; nearest_quality: number; table: number[] };
  quantization_table_custom: { nearest_quality: number; table: number[]; progressive: boolean };
  double_compression: { earlier_quality: number; present_quality: number; gain: number; blocks: number };
  earlier_jpeg: { earlier_quality: number; contrast: number; grid_offset: GridOffset };
  cropped_after_compression: { grid_offset: GridOffset; contrast: number };
  region_compression_differs: {
    region: string;
    region_quality: number | null;
    image_quality: number | null;
    region_gain: number;
    image_gain: number;
  };
  jpeg_ghost: { region: string; quality: number; depth: number; image_depth: number };
  jpeg_grid_shifted: { region: string; region_offset: GridOffset; image_offset: GridOffset; contrast: number };
  one_compression: { blocks: number; examined_pixels: number };

  no_content_credentials: Record<string, never>;
  content_credentials_valid: {
    signer: string | null;
    issuer: string | null;
    signed_at: string | null;
    generator: string | null;
    trusted: boolean;
    actions: { action: string; software: string | null; description: string }[];
    ingredients: string[];
  };
  content_credentials_invalid: {
    signer: string | null;
    generator: string | null;
    failures: { code: string; explanation: string }[];
  };
  content_credentials_elsewhere: { address: string };

  copied_region: {
    region: string;
    source: Corners;
    target: Corners;
    similarity: number;
    scale: number;
    rotation: number;
  };
  similar_places: { first: Corners; second: Corners; similarity: number; scale: number; rotation: number };
  no_copy_found: { keypoints: number; examined_pixels: number };

  resampled_image: { frequency: number; strength: number; axis: "horizontal" | "vertical"; factors: number[] };
  resampled_region: {
    region: string;
    frequency: number;
    strength: number;
    axis: "horizontal" | "vertical";
    factors: number[];
  };
  no_resampling_found: { strength: number; examined_pixels: number };
}
export type EvidenceCode = keyof EvidenceDetails;

/**
 * Family and severity of every code. From `medium` on it is an alarm: nothing that an untouched camera file can carry may
 * be one. `low` is a trace of ordinary handling that a person should know of.
 */
export const evidenceCodes: Readonly<Record<EvidenceCode, { readonly family: string; readonly severity: Severity }>> = {
  modality: { family: "method", severity: "info" },

  no_metadata: { family: "metadata", severity: "info" },
  camera: { family: "metadata", severity: "info" },
  orientation_tag: { family: "metadata", severity: "info" },
  editing_software: { family: "metadata", severity: "low" },
  editing_history: { family: "metadata", severity: "low" },
  photoshop_blocks: { family: "metadata", severity: "low" },
  modified_after_capture: { family: "metadata", severity: "low" },
  dates_contradict: { family: "metadata", severity: "low" },
  size_differs_from_metadata: { family: "metadata", severity: "low" },
  thumbnail_differs: { family: "metadata", severity: "medium" },
  thumbnail_agrees: { family: "metadata", severity: "info" },
  declared_generated: { family: "metadata", severity: "high" },
  platform_trace: { family: "metadata", severity: "info" },

  quantization_table_standard: { family: "compression", severity: "info" },
  quantization_table_editor: { family: "compression", severity: "low" },
  quantization_table_camera: { family: "compression", severity: "info" },
  quantization_table_custom: { family: "compression", severity: "info" },
  double_compression: { family: "compression", severity: "low" },
  earlier_jpeg: { family: "compression", severity: "low" },
  cropped_after_compression: { family: "compression", severity: "low" },
  region_compression_differs: { family: "compression", severity: "medium" },
  jpeg_ghost: { family: "compression", severity: "medium" },
  jpeg_grid_shifted: { family: "compression", severity: "medium" },
  one_compression: { family: "compression", severity: "info" },

  no_content_credentials: { family: "provenance", severity: "info" },
  content_credentials_valid: { family: "provenance", severity: "info" },
  content_credentials_invalid: { family: "provenance", severity: "high" },
  content_credentials_elsewhere: { family: "provenance", severity: "info" },

  copied_region: { family: "copy_move", severity: "medium" },
  similar_places: { family: "copy_move", severity: "low" },
  no_copy_found: { family: "copy_move", severity: "info" },

  resampled_image: { family: "resampling", severity: "low" },
  resampled_region: { family: "resampling", severity: "medium" },
  no_resampling_found: { family: "resampling", severity: "info" },
};

/** Checks that may not run, by the name under which `degraded_checks` lists them. */
export const checkNames = [
  "metadata",
  "thumbnail",
  "provenance",
  "compression_history",
  "copy_move",
  "resampling",
  "input_quality",
  "text",
] as const;
export type CheckName = (typeof checkNames)[number];

/** Why a check did not run, or not on all of the image. */
export type Degradation =
  | { readonly reason: "damaged"; readonly what: string; readonly error: string }
  | { readonly reason: "too_large"; readonly what: string; readonly limit: number }
  | { readonly reason: "out_of_time"; readonly milliseconds: number }
  | { readonly reason: "failed" | "thread_lost"; readonly error: string }
  | { readonly reason: "cut_short"; readonly examined: number; readonly of: number };

/** What can be wrong with an input. Those of `undecidable` leave nothing that "nothing was found" could rest on. */
export interface CaveatFacts {
  small: { shorter: number };
  too_small: { shorter: number };
  not_jpeg: { format: Finding["image"]["format"] };
  heavily_compressed: { quality: number };
  extremely_compressed: { quality: number };
  resized: { factors: readonly number[] };
  enlarged: { bandwidth: number };
  possibly_resized: { longer: number };
  screenshot: { width: number; height: number; flat: number };
  screenshot_like: { width: number; height: number };
  rephotographed: { peaks: number; strength: number };
  first_of_several: { frames: number };
}
export type CaveatCode = keyof CaveatFacts;
export type Caveat = Finding["input_quality"][number];

/** Caveats under which "no tampering detected" would be a guess: the verdict is inconclusive instead. */
export const undecidable: ReadonlySet<string> = new Set<CaveatCode>([
  "too_small",
  "extremely_compressed",
  "enlarged",
  "rephotographed",
]);
