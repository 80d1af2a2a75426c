/** Compression in statements. */
import { type JpegStructure, nearestQuality } from "../../image/jpeg.ts";
import type { State } from "../findings.ts";
import type { CompressionHistory } from "./double.ts";
import { believedDepth, believedGain, compressionDiffers, ghostDiffers, type ImageHistory } from "./history.ts";
import { originOf } from "./tables.ts";

export function tableEvidence(jpeg: JpegStructure, state: State): void {
  const table = Array.from(jpeg.firstTable);
  const { quality, progressive } = jpeg;
  if (quality !== null) {
    state("quantization_table_standard", { quality, table, progressive });
    return;
  }
  const { cameras, editors } = originOf(jpeg);
  const nearest_quality = nearestQuality(jpeg.firstTable);
  // Tables that cameras have as well as editors tell of neither.
  if (editors.length > 0 && cameras.length === 0) {
    state("quantization_table_editor", { software: [...editors], nearest_quality, table });
  } else if (cameras.length > 0 && editors.length === 0) {
    state("quantization_table_camera", { cameras: [...cameras], nearest_quality, table });
  } else {
    state("quantization_table_custom", { nearest_quality, table, progressive });
  }
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

/** @param presentQuality null outside JPEGs */
export function historyEvidence(
  history: ImageHistory,
  presentQuality: number | null,
  pixels: number,
  state: State,
): void {
  const { double, ghost } = history;
  let earlier = false;
  if (double !== null && presentQuality !== null && double.gain >= believedGain) {
    earlier = true;
    state("double_compression", {
      earlier_quality: double.quality,
      present_quality: presentQuality,
      gain: round(double.gain),
      blocks: double.blocks,
    });
  }
  if (ghost !== null && ghost.depth >= believedDepth) {
    earlier = true;
    const contrast = round(ghost.depth);
    if (presentQuality === null) {
      state("earlier_jpeg", { earlier_quality: ghost.quality, contrast, grid_offset: ghost.offset });
    }
    if (ghost.offset[0] !== 0 || ghost.offset[1] !== 0) {
      state("cropped_after_compression", { grid_offset: ghost.offset, contrast });
    }
  }
  for (const one of history.regions) {
    const { region } = one;
    const compressed = compressionDiffers(one);
    if (compressed !== null && one.double !== null) {
      earlier = true;
      const believed = (side: typeof compressed, { gain, quality }: CompressionHistory) =>
        side === compressed || gain >= believedGain ? quality : null;
      state("region_compression_differs", {
        region,
        region_quality: believed("region", one.double.region),
        image_quality: believed("image", one.double.image),
        region_gain: round(one.double.region.gain),
        image_gain: round(one.double.image.gain),
      });
    }
    const differing = ghostDiffers(one);
    if (differing === null) continue;
    earlier = true;
    const image = one.missing?.outside;
    if (
      differing.inside &&
      image &&
      image.depth >= believedDepth &&
      image.offset.join() !== differing.ghost.offset.join()
    ) {
      state("jpeg_grid_shifted", {
        region,
        region_offset: differing.ghost.offset,
        image_offset: image.offset,
        contrast: round(differing.ghost.depth),
      });
      continue;
    }
    state("jpeg_ghost", {
      region,
      quality: differing.ghost.quality,
      depth: round(differing.inside ? differing.ghost.depth : differing.other),
      image_depth: round(differing.inside ? differing.other : differing.ghost.depth),
    });
  }
  if (!earlier) state("one_compression", { blocks: history.blocks, examined_pixels: pixels });
}
