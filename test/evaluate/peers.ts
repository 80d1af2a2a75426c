/** Figures of other detectors on the same images, one row for each image and detector. */
import { readFile } from "node:fs/promises";
import { parse } from "csv-parse/sync";
import { z } from "zod";
import type { PixelMetrics } from "./pixel-metrics.ts";

const figure = z.coerce.number();
const peerRow = z.object({
  peer: z.string().min(1),
  image: z.string().min(1),
  best_f1: figure,
  best_iou: figure,
  f1: figure,
  iou: figure,
  auc: figure,
});

/** By detector, then by image. */
export type PeerFigures = ReadonlyMap<string, ReadonlyMap<string, PixelMetrics>>;

export async function readPeers(path: string): Promise<PeerFigures> {
  const rows: unknown = parse(await readFile(path), { columns: true, skip_empty_lines: true });
  const peers = new Map<string, Map<string, PixelMetrics>>();
  for (const { peer, image, best_f1, best_iou, f1, iou, auc } of z.array(peerRow).parse(rows)) {
    const images = peers.get(peer) ?? new Map<string, PixelMetrics>();
    images.set(image, { f1, iou, bestF1: best_f1, bestIou: best_iou, auc });
    peers.set(peer, images);
  }
  return peers;
}
