/** The overlay: the displayed image, tinted where the map is high, with the regions drawn around and named. */
import type { Region } from "@omni-iml/shared/analysis";
import type { CopyLink } from "../evidence/copy-move/statements.ts";
import type { Point } from "../evidence/plane.ts";
import { displayedImage, rgbPicture } from "../image/displayed.ts";
import { type GreyMap, greyImage } from "../image/encode.ts";
import type { Orientation } from "../image/orientation.ts";
import type { RgbImage } from "../inference/tiler.ts";

const longestSide = 2048;
/** The tint's strongest opacity: what lies beneath must stay recognisable. */
const strongest = 0.6;
/** Probabilities below this stay untinted, so that a quiet map leaves the image as it is. */
const tintFrom = 0.2;

/** RGBA for each of the 256 values of a map, as one word each: a colour from yellow to red, the stronger the more opaque. */
const heat = new Uint32Array(256);
const heatBytes = new Uint8Array(heat.buffer);
for (let value = 0; value < 256; value++) {
  const strength = Math.max(0, (value / 255 - tintFrom) / (1 - tintFrom));
  heatBytes.set([255, 200 * (1 - strength), 0, 255 * strongest * Math.sqrt(strength)].map(Math.round), 4 * value);
}

export interface OverlayInput {
  readonly stored: RgbImage;
  readonly orientation: Orientation;
  /** As displayed. */
  readonly map: GreyMap;
  readonly regions: readonly Region[];
  /** Places of which one was copied from the other. */
  readonly links: readonly CopyLink[];
}

/** A PNG of the displayed image, its longer side at most 2048 pixels. */
export async function drawOverlay({ stored, orientation, map, regions, links }: OverlayInput): Promise<Buffer> {
  const scale = Math.min(1, longestSide / Math.max(map.width, map.height));
  const width = Math.max(1, Math.round(map.width * scale));
  const height = Math.max(1, Math.round(map.height * scale));
  const displayed = await displayedImage(stored, orientation, longestSide);
  const probability = await greyImage(map).resize(width, height, { fit: "fill" }).toColourspace("b-w").raw().toBuffer();
  const tint = new Uint32Array(width * height);
  for (let i = 0; i < tint.length; i++) tint[i] = heat[probability[i] ?? 0] ?? 0;
  return rgbPicture(displayed)
    .composite([
      { input: Buffer.from(tint.buffer), raw: { width, height, channels: 4 } },
      { input: Buffer.from(outlines({ regions, links, lowest: map.height, width, height, scale })) },
    ])
    .removeAlpha()
    .png({ compressionLevel: 6 })
    .toBuffer();
}

interface Outlined extends Pick<OverlayInput, "regions" | "links"> {
  /** Of the displayed image: its lower border. */
  readonly lowest: number;
  readonly width: number;
  readonly height: number;
  readonly scale: number;
}

/** Outlines and ids as SVG: white on a dark edge, to be seen on any image. */
function outlines({ regions, links, lowest, width, height, scale }: Outlined): string {
  const stroke = Math.max(1, Math.max(width, height) / 500);
  const size = Math.max(8, Math.max(width, height) / 42);
  const drawn = regions.map(({ polygon, id }) => {
    const points = pointsOf(polygon, scale);
    const labelWidth = id.length * size * 0.8;
    // The id stands above the contour's highest corner, or just below it where the image ends.
    const [topX, topY] = polygon.reduce((top, corner) => (corner[1] < top[1] ? corner : top), [0, lowest]);
    const labelX = Math.min(Math.max(topX * scale - labelWidth / 2, 0), Math.max(0, width - 1.2 * labelWidth));
    const above = topY * scale - size * 1.7;
    const labelY = above >= 0 ? above : topY * scale + stroke;
    return `<polygon points="${points}" fill="none" stroke="#000" stroke-opacity=".6" stroke-width="${2.4 * stroke}"/>
<polygon points="${points}" fill="none" stroke="#fff" stroke-width="${stroke}"/>
<g transform="translate(${labelX.toFixed(1)} ${labelY.toFixed(1)})">
<rect width="${labelWidth + size * 0.3}" height="${size * 1.5}" fill="#000" fill-opacity=".7"/>
<path d="${strokesOf(id, size)}" fill="none" stroke="#fff" stroke-width="${size / 7}"/></g>`;
  });
  const from = links.map(({ source, target }) => sourceOutline(source, target, scale, stroke));
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${[...from, ...drawn].join("")}</svg>`;
}

function pointsOf(polygon: readonly Point[], scale: number): string {
  return polygon.map(([x, y]) => `${(x * scale).toFixed(1)},${(y * scale).toFixed(1)}`).join(" ");
}

/** The other place of a copy, dashed, and a line from its middle to the copy's, where a dot stands. */
function sourceOutline(source: readonly Point[], target: readonly Point[], scale: number, stroke: number): string {
  const middle = (polygon: readonly Point[]) => {
    const centre = (values: number[]) => ((Math.min(...values) + Math.max(...values)) / 2) * scale;
    return [centre(polygon.map(([x]) => x)), centre(polygon.map(([, y]) => y))].map((value) => value.toFixed(1));
  };
  const [[x1, y1], [x2, y2]] = [middle(source), middle(target)];
  const dashes = `${5 * stroke} ${3 * stroke}`;
  const twice = (shape: (attributes: string) => string) =>
    shape(`fill="none" stroke="#000" stroke-opacity=".6" stroke-width="${2.4 * stroke}"`) +
    shape(`fill="none" stroke="#fff" stroke-width="${stroke}" stroke-dasharray="${dashes}"`);
  return [
    twice((attributes) => `<polygon points="${pointsOf(source, scale)}" ${attributes}/>`),
    twice((attributes) => `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" ${attributes}/>`),
    `<circle cx="${x2}" cy="${y2}" r="${3 * stroke}" fill="#fff" stroke="#000" stroke-opacity=".6" stroke-width="${stroke}"/>`,
  ].join("");
}

/** Seven-segment strokes of the characters of an id: no font has to be installed for them. Unit: half a height. */
const strokes: Readonly<Record<string, string>> = {
  r: "M0 2V1H.8",
  "0": "M0 0H1V2H0Z",
  "1": "M.5 0V2",
  "2": "M0 0H1V1H0V2H1",
  "3": "M0 0H1V2H0M0 1H1",
  "4": "M0 0V1H1M1 0V2",
  "5": "M1 0H0V1H1V2H0",
  "6": "M1 0H0V2H1V1H0",
  "7": "M0 0H1V2",
  "8": "M0 0H1V2H0ZM0 1H1",
  "9": "M1 1H0V0H1V2H0",
};

/** The strokes of a text, each character `size` high. */
function strokesOf(text: string, size: number): string {
  const unit = size / 2;
  return [...text]
    .map((character, i) => {
      const left = size * (0.3 + 0.8 * i);
      const top = size * 0.25;
      return place(strokes[character] ?? "", left, top, unit);
    })
    .join("");
}

function place(path: string, left: number, top: number, unit: number): string {
  return path.replace(/([MHV])([\d.]+)(?: ([\d.]+))?/g, (_, command: string, a: string, b?: string) => {
    const x = (value: string) => (left + Number(value) * unit).toFixed(1);
    const y = (value: string) => (top + Number(value) * unit).toFixed(1);
    if (command === "M") return `M${x(a)} ${y(b ?? "0")}`;
    return command === "H" ? `H${x(a)}` : `V${y(a)}`;
  });
}
