/** Contact sheets: what went worst, to be looked at. A cell shows image, truth and map side by side, figures below. */
import sharp from "sharp";
import type { AnsweredImage } from "./summary.ts";

const side = 192;
const caption = 34;
const columns = 2;

/** A probability map at the size of a sheet, as a PNG of some kilobytes: kept for every image until the worst are known. */
export function shrunk(map: Uint8Array): Promise<Uint8Array> {
  return sharp(map).greyscale().resize(side, side, { fit: "inside" }).png().toBuffer();
}

/** The tampered images whose pixels were found worst. */
export function worstMisses(answered: readonly AnsweredImage[], count: number): AnsweredImage[] {
  return answered
    .flatMap((one) => (one.metrics === null ? [] : [{ one, f1: one.metrics.f1, auc: one.metrics.auc ?? 0.5 }]))
    .sort((a, b) => a.f1 - b.f1 || a.auc - b.auc)
    .slice(0, count)
    .map(({ one }) => one);
}

/** The authentic images that were called tampered most firmly. */
export function worstFalseAlarms(answered: readonly AnsweredImage[], count: number): AnsweredImage[] {
  return answered
    .filter(({ image }) => !image.tampered)
    .sort((a, b) => b.score - a.score || b.flagged - a.flagged)
    .slice(0, count);
}

/** One sheet as a PNG; `null` where there is nothing to show. */
export async function contactSheet(images: readonly AnsweredImage[]): Promise<Uint8Array | null> {
  if (images.length === 0) return null;
  const cell = { width: 3 * side, height: side + caption };
  const cells = await Promise.all(
    images.map(async (answered, i) => ({
      input: await cellOf(answered, cell.width, cell.height),
      left: (i % columns) * cell.width,
      top: Math.floor(i / columns) * cell.height,
    })),
  );
  const width = cell.width * Math.min(columns, images.length);
  const height = cell.height * Math.ceil(images.length / columns);
  return sharp({ create: { width, height, channels: 3, background: "#222" } })
    .composite(cells)
    .png()
    .toBuffer();
}

async function cellOf({ image, map, metrics, score, flagged, modality }: AnsweredImage, width: number, height: number) {
  const pictures = [image.path, image.maskPath, map];
  const shown = await Promise.all(
    pictures.map(async (picture, i) =>
      picture === null ? [] : [{ input: await fitted(picture), left: i * side, top: 0 }],
    ),
  );
  const figures = metrics
    ? `F1 ${metrics.f1.toFixed(2)}, best ${metrics.bestF1.toFixed(2)}, AUC ${metrics.auc?.toFixed(2) ?? "–"}`
    : "authentic";
  const text = [
    image.name,
    `${image.domain} / ${image.set} / ${image.kind}: ${figures}, score ${score.toFixed(2)}, flagged ${(100 * flagged).toFixed(1)} %, ${modality}`,
  ];
  return sharp({ create: { width, height, channels: 3, background: "#222" } })
    .composite([...shown.flat(), { input: written(text, width), left: 0, top: side }])
    .png()
    .toBuffer();
}

function fitted(picture: string | Uint8Array): Promise<Buffer> {
  return sharp(picture)
    .autoOrient()
    .resize(side, side, { fit: "contain", background: "#222" })
    .flatten({ background: "#222" })
    .toColourspace("srgb")
    .png()
    .toBuffer();
}

function written(lines: readonly string[], width: number): Buffer {
  const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  const rows = lines.map((line, i) => `<text x="3" y="${13 + 14 * i}">${escaped(line)}</text>`).join("");
  return Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${caption}" font-family="sans-serif" font-size="10.5" fill="#ddd">${rows}</svg>`,
  );
}
