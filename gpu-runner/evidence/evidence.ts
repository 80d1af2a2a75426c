/**
 * Checks besides the network: each names what it found in the file or its pixels and claims no more than that. None of
 * them fails an analysis: what cannot be checked is listed as degraded.
 */
import type { Finding, Region } from "@omni-iml/shared/analysis";
import type { DecodedImage } from "../image/decode.ts";
import { rgbPicture } from "../image/displayed.ts";
import { nearestQuality } from "../image/jpeg.ts";
import { displayedPoint, displayedSize, storedPoint } from "../image/orientation.ts";
import type { Caveat, CheckName, DegradedCheck, Evidence } from "./codes.ts";
import { historiesDiffer } from "./compression/history.ts";
import { historyEvidence, tableEvidence } from "./compression/statements.ts";
import type { CopyFinding } from "./copy-move/correspondence.ts";
import { believed, type CopyLink, copyEvidence } from "./copy-move/statements.ts";
import { Findings } from "./findings.ts";
import { caveatsOf } from "./input-quality.ts";
import { type Metadata, readMetadata } from "./metadata/read.ts";
import { metadataEvidence, thumbnailEvidence } from "./metadata/statements.ts";
import { compareThumbnail } from "./metadata/thumbnail.ts";
import type { Point, RgbPixels } from "./plane.ts";
import { credentialEvidence, hasManifest, mediaTypes } from "./provenance/statements.ts";
import { samplingEvidence } from "./resampling/statements.ts";
import { type RegionText, readRegions } from "./text/regions.ts";
import type { PlacedRegion, Sampling } from "./thread.ts";
import { type Limits, runAlone, TaskThread } from "./threads.ts";

/** Pixels of the part on which traces of compression and resampling are looked for, at full resolution. */
const mostPixels = 2_000_000;
/** Longer side of the reduced image in which places are found again. */
const reducedSide = 1024;
/** Bytes of a file beyond which its credentials are not verified: all of it is hashed, and copied for that. */
const largestSigned = 64 * 1024 * 1024;
/** Milliseconds for one check on pixels, and for credentials. A busy machine takes ten times what an idle one does. */
const checkTime = 45_000;

const thread = new TaskThread();

/** Places of the image that show the same, before it is known which of them lie in regions. */
export interface FoundCopies extends CopyFinding {
  /** Of the picture that was searched, the image on its stored grid, perhaps reduced. */
  readonly width: number;
  readonly height: number;
}

export interface ExamineInput {
  readonly bytes: Uint8Array;
  readonly image: DecodedImage;
  readonly regions: readonly Region[];
  readonly modality: Finding["modality"];
  readonly domain: Finding["domain"]["name"];
  /** What `searchCopies` gave. Where it was not asked, copies are looked for if they are wanted. */
  readonly copies?: FoundCopies | null | undefined;
  /** Certificates whose signatures on Content Credentials are trusted, as PEM. */
  readonly trustAnchors: string | null;
  /** Whether evidence is wanted. What the input is too poor for is found out in any case: the verdict rests on it. */
  readonly wanted: boolean;
  /** Whether the text in the regions of a picture of text is wanted. */
  readonly reads: boolean;
}

/** What the checks besides the network found in its regions, each with a weight of its own in the score. */
export interface RegionTraces {
  /** What lies in a region is there a second time, down to its grain. */
  readonly copied: boolean;
  /** A region was compressed apart from the rest. */
  readonly recompressed: boolean;
}

export interface Examined {
  readonly evidence: Evidence[];
  readonly input_quality: Caveat[];
  readonly degraded_checks: DegradedCheck[];
  /** Places that show the same, for the overlay, in pixels of the displayed image. */
  readonly links: readonly CopyLink[];
  /** Where evidence is wanted: what of it the score listens to. */
  readonly traces: RegionTraces;
  /** By region id. */
  readonly texts: ReadonlyMap<string, RegionText>;
}

/**
 * Runs every check that fits the file.
 *
 * @throws the signal's reason, and nothing else
 */
export async function examine(input: ExamineInput, signal: AbortSignal): Promise<Examined> {
  const { image, regions, modality, wanted } = input;
  const findings = new Findings(signal);
  const limits: Limits = { milliseconds: checkTime, signal };
  findings.state("modality", { modality, jpeg_traces_available: image.jpeg });
  const [metadata, links, grain, texts] = await Promise.all([
    findings.attempt("metadata", () => examineMetadata(input, findings)),
    wanted ? findings.attempt("copy_move", () => examineCopies(input, limits, findings)) : null,
    examineGrain(input, limits, findings),
    input.reads && showsText(input.domain) ? readRegions(image, regions, signal, findings) : noTexts,
  ]);
  if (wanted) await findings.attempt("provenance", () => examineProvenance(input, metadata, limits, findings));
  const shown = displayedSize(image.width, image.height, image.orientation);
  return {
    evidence: wanted ? findings.evidence : [],
    input_quality: caveatsOf({
      facts: { ...shown, format: image.header.format, frames: image.frames },
      jpeg: image.header.jpeg,
      metadata,
      sampling: grain.sampling,
      printed: showsText(input.domain),
    }),
    degraded_checks: findings.degraded,
    links: links ?? [],
    traces: { copied: links !== null && links.length > 0, recompressed: grain.recompressed },
    texts,
  };
}

const noTexts: Examined["texts"] = new Map();

export function showsText(domain: ExamineInput["domain"]): boolean {
  return domain === "document" || domain === "scene_text";
}

async function examineMetadata({ image }: ExamineInput, findings: Findings): Promise<Metadata> {
  if (image.header.jpeg !== null) tableEvidence(image.header.jpeg, findings.state);
  const { metadata, problems } = await readMetadata(image.metadata);
  for (const { what, error } of problems) {
    findings.degrade("metadata", { reason: "damaged", what: `${what} block`, error });
  }
  metadataEvidence(metadata, image, new Date(), findings.state);
  if (metadata.thumbnail !== null) {
    try {
      thumbnailEvidence(await compareThumbnail(metadata.thumbnail, image), image, findings.state);
    } catch (error) {
      const text = error instanceof Error ? error.message.split("\n")[0] : String(error);
      findings.degrade("thumbnail", { reason: "damaged", what: "preview in the metadata", error: text ?? "" });
    }
  }
  return metadata;
}

async function examineProvenance(
  { bytes, image, trustAnchors }: ExamineInput,
  metadata: Metadata | null,
  limits: Limits,
  findings: Findings,
): Promise<void> {
  if (!hasManifest(bytes)) {
    const address = metadata?.provenanceAddress;
    if (address) findings.state("content_credentials_elsewhere", { address });
    else findings.state("no_content_credentials", {});
    return;
  }
  if (bytes.byteLength > largestSigned) {
    findings.degrade("provenance", { reason: "too_large", what: "file", limit: largestSigned });
    return;
  }
  const mediaType = mediaTypes[image.header.format];
  const credentials = await runAlone({ kind: "credentials", bytes, mediaType, anchors: trustAnchors }, limits);
  credentialEvidence(credentials, findings.state);
}

/** Traces of resampling and compression, on one part of the image at full resolution. */
async function examineGrain(
  { image, regions, domain, wanted }: ExamineInput,
  limits: Limits,
  findings: Findings,
): Promise<{ sampling: Sampling | null; recompressed: boolean }> {
  const { picture, placed } = await windowOf(image, regions);
  const pixels = picture.width * picture.height;
  const sampling = await findings.attempt("resampling", async () => {
    const found = await thread.run({ kind: "sampling", picture, regions: wanted ? placed : [] }, limits);
    samplingEvidence(found, { pixels, printed: showsText(domain) }, findings.state);
    return found;
  });
  if (!wanted) return { sampling, recompressed: false };
  const jpeg = tableOf(image);
  const recompressed = await findings.attempt("compression_history", async () => {
    const history = await thread.run(
      { kind: "history", picture, jpeg, regions: placed, differencesOnly: false },
      limits,
    );
    historyEvidence(history, jpeg?.quality ?? null, pixels, findings.state);
    return historiesDiffer(history, jpeg !== null);
  });
  return { sampling, recompressed: recompressed ?? false };
}

function tableOf({ jpeg, header }: DecodedImage): { table: Int32Array; quality: number } | null {
  if (!jpeg || header.jpeg === null) return null;
  return { table: header.jpeg.firstTable, quality: header.jpeg.quality ?? nearestQuality(header.jpeg.firstTable) };
}

/** At most `mostPixels` around the weightiest region, on the stored 8×8 grid. */
async function windowOf(
  image: DecodedImage,
  regions: readonly Region[],
): Promise<{ picture: RgbPixels; placed: PlacedRegion[] }> {
  const { width, height, orientation, pixels } = image;
  const stored = regions.map(({ id, polygon }) => ({
    id,
    polygon: polygon.map((point) => storedPoint(point, image, orientation)),
  }));
  if (width * height <= mostPixels) return { picture: { pixels, width, height }, placed: stored };
  // A square, as far as the image has one.
  const across = Math.min(width, Math.max(Math.sqrt(mostPixels), mostPixels / height));
  const shown = { width: wholeBlocks(across), height: wholeBlocks(Math.min(height, mostPixels / across)) };
  const [first] = stored;
  const [x, y] = first === undefined ? [width / 2, height / 2] : middleOf(first.polygon);
  const start = (middle: number, length: number, all: number) =>
    wholeBlocks(Math.min(Math.max(0, middle - length / 2), all - length));
  const left = start(x, shown.width, width);
  const top = start(y, shown.height, height);
  const cut = await rgbPicture(image)
    .extract({ left, top, ...shown })
    .raw()
    .toBuffer();
  return {
    picture: { pixels: cut, ...shown },
    placed: stored.map(({ id, polygon }) => ({ id, polygon: polygon.map(([u, v]): Point => [u - left, v - top]) })),
  };
}

function wholeBlocks(length: number): number {
  return Math.floor(length / 8) * 8;
}

function middleOf(polygon: readonly Point[]): Point {
  const xs = polygon.map(([x]) => x);
  const ys = polygon.map(([, y]) => y);
  return [(Math.min(...xs) + Math.max(...xs)) / 2, (Math.min(...ys) + Math.max(...ys)) / 2];
}

/** What `examine` finds in the regions that the score listens to, as far as a release wants it, and nothing else. */
export async function findTraces(
  input: Pick<ExamineInput, "image" | "regions" | "domain" | "copies">,
  wanted: { readonly [Trace in keyof RegionTraces]: boolean },
  signal: AbortSignal,
): Promise<{ traces: RegionTraces; degraded_checks: DegradedCheck[] }> {
  const { image, regions } = input;
  const findings = new Findings(signal);
  const limits: Limits = { milliseconds: checkTime, signal };
  const within = <Found>(check: CheckName, trace: boolean, find: () => Promise<Found>) =>
    trace && regions.length > 0 ? findings.attempt(check, find) : null;
  const [links, recompressed] = await Promise.all([
    within("copy_move", wanted.copied, () => examineCopies(input, limits, findings)),
    within("compression_history", wanted.recompressed, async () => {
      const { picture, placed } = await windowOf(image, regions);
      const jpeg = tableOf(image);
      const task = { kind: "history", picture, jpeg, regions: placed, differencesOnly: true } as const;
      return historiesDiffer(await thread.run(task, limits), jpeg !== null);
    }),
  ]);
  const traces = { copied: links !== null && links.length > 0, recompressed: recompressed ?? false };
  return { traces, degraded_checks: findings.degraded };
}

/**
 * Looks for places that show the same, and for nothing else.
 *
 * @returns null, and why it is so, where that could not be found out
 * @throws the signal's reason, and nothing else
 */
export async function searchCopies(
  image: DecodedImage,
  domain: ExamineInput["domain"],
  signal: AbortSignal,
): Promise<{ copies: FoundCopies | null; degraded_checks: DegradedCheck[] }> {
  const findings = new Findings(signal);
  const limits: Limits = { milliseconds: checkTime, signal };
  const copies = await findings.attempt("copy_move", () => findPlaces(image, domain, limits));
  return { copies, degraded_checks: findings.degraded };
}

/** Of pairs of places those that agree so far that one of them is a copy. */
export function believedCopies(copies: FoundCopies, domain: ExamineInput["domain"]): FoundCopies {
  const showing = { printed: showsText(domain), pixels: copies.width * copies.height };
  return { ...copies, copies: copies.copies.filter((copy) => believed(copy, showing)) };
}

async function findPlaces(image: DecodedImage, domain: ExamineInput["domain"], limits: Limits): Promise<FoundCopies> {
  const scale = Math.min(1, reducedSide / Math.max(image.width, image.height));
  const width = Math.max(1, Math.round(image.width * scale));
  const height = Math.max(1, Math.round(image.height * scale));
  const pixels =
    scale === 1 ? image.pixels : await rgbPicture(image).resize(width, height, { fit: "fill" }).raw().toBuffer();
  const picture = { pixels, width, height };
  const found = await thread.run({ kind: "copies", picture, printed: showsText(domain) }, limits);
  return { ...found, width, height };
}

/** Null where they were looked for before and could not be found out: whoever looked has said so. */
async function examineCopies(
  { image, regions, domain, copies }: Pick<ExamineInput, "image" | "regions" | "domain" | "copies">,
  limits: Limits,
  findings: Findings,
): Promise<CopyLink[] | null> {
  if (copies === null) return null;
  const found = copies ?? (await findPlaces(image, domain, limits));
  const { orientation } = image;
  const [sx, sy] = [found.width / image.width, found.height / image.height];
  const placed = regions.map(({ id, polygon }) => ({
    id,
    polygon: polygon.map((point) => storedPoint(point, image, orientation)).map(([x, y]): Point => [x * sx, y * sy]),
  }));
  const size = { width: found.width, height: found.height };
  const task = { kind: "copies_in_regions", copies: found.copies, ...size, regions: placed } as const;
  const inRegions = found.copies.length === 0 ? [] : await thread.run(task, limits);
  const shown = displayedSize(image.width, image.height, orientation);
  const within = (value: number, most: number) => Math.min(most, Math.max(0, Math.round(value)));
  const onDisplay = (polygon: readonly Point[]) =>
    polygon
      .map(([x, y]) => displayedPoint([x / sx, y / sy], image, orientation))
      .map(([x, y]): Point => [within(x, shown.width), within(y, shown.height)]);
  const showing = { onDisplay, printed: showsText(domain), pixels: size.width * size.height };
  return copyEvidence({ copies: inRegions, keypoints: found.keypoints }, showing, findings.state);
}
