/** The text in regions of documents and scene text: what can be read with confidence, and nothing else. */
import type { Region } from "@omni-iml/shared/analysis";
import type { DecodedImage } from "../../image/decode.ts";
import { displayedImage, rgbPicture } from "../../image/displayed.ts";
import { displayedSize, storedPoint } from "../../image/orientation.ts";
import type { Findings } from "../findings.ts";
import { TaskThread } from "../threads.ts";
import type { Word } from "./recognize.ts";

/** Regions of one image in which text is read, the weightiest first. */
export const mostRead = 6;
export interface ReadingTime {
  /** Milliseconds for one region: some tenths of a second on an idle machine, more where many share it. */
  readonly region: number;
  /** Milliseconds after which no further region is begun. */
  readonly all: number;
}
const usualTime: ReadingTime = { region: 15_000, all: 25_000 };
/** Milliseconds after which an idle recogniser gives its memory back, some 80 MB; starting it anew takes half a second. */
const idleTime = 60_000;
/** Pixels of the longer side of what is read at once, and how far small letters are enlarged for it. */
const longestSide = 1280;
const mostEnlarged = 2;
/** Sides of a box, in pixels, below which no letter fits into it. */
const smallestSide = 6;
/** A word below it is not counted as read. On the bundled samples what is read rightly has .84 and more, noise below .7. */
const leastWord = 0.75;
/** A text below it is not told. */
const leastText = 0.8;
/** The part of all letters seen that must have been read: less is a texture in which a few look like letters. */
const leastShare = 0.6;
const fewestLetters = 2;
const longestText = 300;

export interface RegionText {
  readonly text: string;
  /** 0 to 1: the mean over its letters. */
  readonly confidence: number;
}

/** A region with what is written in it. */
export function withText(region: Region, text: RegionText | undefined): Region {
  return text === undefined ? region : { ...region, content: text.text, content_confidence: text.confidence };
}

const thread = new TaskThread({ idle: idleTime });

/** By region id; regions in which nothing was read with confidence are missing. */
export async function readRegions(
  image: DecodedImage,
  regions: readonly Region[],
  signal: AbortSignal,
  findings: Findings,
  time: ReadingTime = usualTime,
): Promise<ReadonlyMap<string, RegionText>> {
  const texts = new Map<string, RegionText>();
  const start = performance.now();
  const chosen = regions.filter(({ bbox }) => Math.min(bbox.width, bbox.height) >= smallestSide).slice(0, mostRead);
  await findings.attempt("text", async () => {
    for (const [done, region] of chosen.entries()) {
      if (performance.now() - start > time.all) {
        findings.degrade("text", { reason: "cut_short", examined: done, of: chosen.length });
        return;
      }
      const { picture, inPicture, open } = await closeUp(image, region);
      const words = await thread.run({ kind: "text", picture }, { milliseconds: time.region, signal });
      const text = textOf(words, inPicture, open);
      if (text !== null) texts.set(region.id, text);
    }
  });
  return texts;
}

type Box = Word["box"];

/** The region and what stands around it, upright, and as large as the recogniser wants letters. */
async function closeUp(
  image: DecodedImage,
  { bbox }: Region,
): Promise<{ picture: Uint8Array; inPicture: Box; open: Box }> {
  const shown = displayedSize(image.width, image.height, image.orientation);
  // A word that is cut off reads as another one, so that there is room for the rest of it on both sides.
  const letter = Math.min(bbox.height, bbox.width);
  const around = Math.min(64, Math.max(16, letter));
  const beside = Math.min(192, Math.max(64, 4 * letter));
  const left = Math.max(0, bbox.x - beside);
  const top = Math.max(0, bbox.y - around);
  const right = Math.min(shown.width, bbox.x + bbox.width + beside);
  const bottom = Math.min(shown.height, bbox.y + bbox.height + around);
  const [ax, ay] = storedPoint([left, top], image, image.orientation);
  const [bx, by] = storedPoint([right, bottom], image, image.orientation);
  const stored = { width: Math.abs(ax - bx), height: Math.abs(ay - by) };
  const pixels = await rgbPicture(image)
    .extract({ left: Math.min(ax, bx), top: Math.min(ay, by), ...stored })
    .raw()
    .toBuffer();
  const upright = await displayedImage({ pixels, ...stored }, image.orientation, longestSide);
  const scale = Math.min(mostEnlarged, longestSide / Math.max(stored.width, stored.height));
  const width = Math.max(1, Math.round((right - left) * scale));
  const height = Math.max(1, Math.round((bottom - top) * scale));
  const picture = await rgbPicture(upright)
    .resize(width, height, { fit: "fill" })
    .greyscale()
    .png({ compressionLevel: 1 })
    .toBuffer();
  const across = width / (right - left);
  const down = height / (bottom - top);
  return {
    picture,
    inPicture: {
      left: (bbox.x - left) * across,
      top: (bbox.y - top) * down,
      right: (bbox.x + bbox.width - left) * across,
      bottom: (bbox.y + bbox.height - top) * down,
    },
    // Where the picture ends with the image, nothing is cut off.
    open: {
      left: left === 0 ? Number.NEGATIVE_INFINITY : 2,
      top: top === 0 ? Number.NEGATIVE_INFINITY : 2,
      right: right === shown.width ? Number.POSITIVE_INFINITY : width - 2,
      bottom: bottom === shown.height ? Number.POSITIVE_INFINITY : height - 2,
    },
  };
}

/**
 * What stands in a region, line by line; null where too little of it can be read.
 *
 * @param region in pixels of the picture that was read
 * @param open words that reach beyond it may be cut off
 */
export function textOf(words: readonly Word[], region: Box, open: Box): RegionText | null {
  const seen = words.filter(({ box }) => standsIn(box, region));
  const whole = ({ box }: Word) =>
    box.left >= open.left && box.top >= open.top && box.right <= open.right && box.bottom <= open.bottom;
  const read = seen.filter((word) => word.confidence >= leastWord && whole(word));
  const lines = Map.groupBy(read, ({ line }) => line);
  const said = [...lines.values()].map(withoutEdges).filter((line) => line.length > 0);
  const told = said.flat();
  const letters = lettersIn(told);
  if (letters < fewestLetters || letters < leastShare * lettersIn(seen)) return null;
  const confidence = told.reduce((sum, word) => sum + word.confidence * lettersIn([word]), 0) / letters;
  if (confidence < leastText) return null;
  const text = inReadingOrder(said)
    .map((line) => line.map((word) => word.text).join(" "))
    .join(" ")
    .normalize("NFKC");
  return { text: text.length > longestText ? `${text.slice(0, longestText - 1).trimEnd()}…` : text, confidence };
}

/** Whether a word belongs to a region: its middle line runs through it, along a good part of the word or of the region. */
function standsIn(word: Box, region: Box): boolean {
  const middle = (word.top + word.bottom) / 2;
  if (middle < region.top || middle > region.bottom) return false;
  const shared = Math.min(word.right, region.right) - Math.max(word.left, region.left);
  return shared >= 0.4 * Math.min(word.right - word.left, region.right - region.left);
}

function lettersIn(words: readonly Word[]): number {
  return words.reduce((sum, { text }) => sum + (text.match(/[\p{L}\p{N}]/gu)?.length ?? 0), 0);
}

/** Without rules, borders and specks at both ends; between words a dash is a dash. */
function withoutEdges(line: readonly Word[]): readonly Word[] {
  const isWord = (word: Word) => lettersIn([word]) > 0;
  const first = line.findIndex(isWord);
  return first < 0 ? [] : line.slice(first, line.findLastIndex(isWord) + 1);
}

function inReadingOrder(lines: readonly (readonly Word[])[]): readonly (readonly Word[])[] {
  const placed = lines.map((line) => {
    const top = Math.min(...line.map(({ box }) => box.top));
    const bottom = Math.max(...line.map(({ box }) => box.bottom));
    return { line, middle: (top + bottom) / 2, half: (bottom - top) / 2, left: line[0]?.box.left ?? 0 };
  });
  placed.sort((a, b) => a.middle - b.middle);
  // Pieces that stand beside each other are one row, read from the left; rows are told apart before pieces are sorted.
  const rows: (typeof placed)[] = [];
  for (const piece of placed) {
    const row = rows.at(-1);
    const first = row?.[0];
    if (row && first && piece.middle - first.middle < Math.min(first.half, piece.half)) row.push(piece);
    else rows.push([piece]);
  }
  return rows.flatMap((row) => row.sort((a, b) => a.left - b.left).map(({ line }) => line));
}
