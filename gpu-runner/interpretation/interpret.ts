/** The interpretation of an image's regions: which were manipulated, how, and what gives them away. */
import type { ArtifactTitle, Certainty, ManipulationKind, Region } from "@omni-iml/shared/analysis";
import type { InterpretationManifest } from "@omni-iml/shared/release";
import { type RegionText, withText } from "../evidence/text/regions.ts";
import type { DecodedImage } from "../image/decode.ts";
import { type GreyMap, maskOf } from "../image/encode.ts";
import type { Wording } from "../wording/wording.ts";
import { certaintyOf } from "./certainty.ts";
import { factCount, type Interpreter, type Reading, type Shown } from "./contract.ts";
import { onStoredGrid, viewsOf } from "./views.ts";

/** Regions of one image that are looked at, the largest first; the rest are specks beside them. */
export const mostInterpreted = 8;

export interface Located {
  readonly image: DecodedImage;
  /** On the stored grid. */
  readonly map: GreyMap;
  readonly threshold: number;
  /** Probability of each domain, in the order of `domains`. */
  readonly domain: readonly number[];
  /** Probability that anything in the image was manipulated. */
  readonly score: number;
  /** Regions, by id, that show the same to the grain as another place of the image. */
  readonly copied: ReadonlySet<string>;
}

export interface Means {
  readonly manifest: InterpretationManifest;
  readonly interpreter: Interpreter;
  readonly wording: Wording;
  /** What is written in regions, by id; asked for those that turn out to be text. */
  readText(regions: readonly Region[]): Promise<ReadonlyMap<string, RegionText>>;
}

/** Kinds whose region holds text, whatever the image as a whole is taken for. */
const textKinds: ReadonlySet<ManipulationKind | null> = new Set(["text_replace", "text_insert"]);

/** The regions, those that were looked at with what was found; the rest as they were. */
export async function interpretRegions(
  regions: readonly Region[],
  located: Located,
  { manifest, interpreter, wording, readText }: Means,
): Promise<Region[]> {
  const chosen = [...regions].sort((a, b) => b.area_fraction - a.area_fraction).slice(0, mostInterpreted);
  if (chosen.length === 0) return [];
  const readings = await interpreter.read(await show(chosen, located));
  const judgements = new Map(
    chosen.flatMap(({ id }, i) => {
      const reading = readings[i];
      return reading === undefined ? [] : [[id, judge(reading, located, located.copied.has(id), manifest)] as const];
    }),
  );
  const unread = regions.filter(
    ({ id, content }) => content === null && textKinds.has(judgements.get(id)?.kind?.name ?? null),
  );
  const texts: ReadonlyMap<string, RegionText> = unread.length === 0 ? new Map() : await readText(unread);
  return regions.map((region) => {
    const judgement = judgements.get(region.id);
    const shown = withText(region, texts.get(region.id));
    return judgement === undefined ? shown : interpreted(shown, judgement, wording);
  });
}

async function show(regions: readonly Region[], { image, map, threshold, domain }: Located): Promise<Shown> {
  const stored = regions.map((region) => onStoredGrid(region, image, image.orientation));
  const facts = new Float32Array(regions.length * factCount);
  regions.forEach((region, i) => {
    const { width, height } = stored[i]?.box ?? { width: 0, height: 0 };
    facts.set(
      [
        region.area_fraction,
        width / image.width,
        height / image.height,
        region.score,
        image.width,
        image.height,
        image.jpeg ? 1 : 0,
        ...domain,
      ],
      i * factCount,
    );
  });
  return { count: regions.length, facts, ...(await viewsOf(image, maskOf(map, threshold), stored)) };
}

interface Judgement {
  readonly true_region: number;
  readonly certainty: Certainty;
  readonly kind: ReturnType<typeof kindOf>;
  /** Calibrated, the most probable first. */
  readonly artifacts: readonly { readonly artifact: ArtifactTitle; readonly probability: number }[];
}

function judge(reading: Reading, { score }: Located, copied: boolean, manifest: InterpretationManifest): Judgement {
  const { thresholds, calibration } = manifest;
  // A manipulated region makes a manipulated image, so it cannot be the more probable of the two.
  const true_region = Math.min(calibrated(reading.confirmed, calibration.confirmed), score);
  const certainty = certaintyOf(true_region);
  // Of what is more likely a false alarm nothing is said: there is no manipulation to be of a kind.
  if (reading.confirmed < thresholds.confirmed || certainty === "unlikely") {
    return { true_region, certainty, kind: null, artifacts: [] };
  }
  const artifacts = manifest.artifacts
    .map((artifact, i) => ({ artifact, raw: reading.artifacts[i] ?? 0 }))
    .filter(({ artifact, raw }) => raw >= thresholds.artifacts[artifact])
    .sort((a, b) => b.raw - a.raw)
    .map(({ artifact, raw }) => ({ artifact, probability: calibrated(raw, calibration.artifacts) }));
  return { true_region, certainty, kind: kindOf(reading, copied, manifest), artifacts };
}

function interpreted(region: Region, { true_region, certainty, kind, ...judged }: Judgement, wording: Wording): Region {
  const artifacts = judged.artifacts.map(({ artifact }) => artifact);
  return {
    ...region,
    manipulation: kind?.name ?? null,
    artifacts,
    interpretation: {
      source: "builtin",
      certainty,
      true_region,
      manipulation_probability: kind?.probability ?? null,
      reasons: judged.artifacts.map((reason) => ({ ...reason, description: wording.artifacts[reason.artifact] })),
      description: wording.region({
        ...region,
        certainty,
        kind: kind && { name: kind.name, certainty: certaintyOf(kind.probability) },
        artifacts,
      }),
    },
  };
}

/** Kinds whose content came from elsewhere: what shows the same as another place of the image is none of them. */
const fromElsewhere: ReadonlySet<ManipulationKind> = new Set(["splice", "generated", "face_swap"]);

function kindOf(reading: Reading, copied: boolean, { kinds: names, thresholds, calibration }: InterpretationManifest) {
  const possible = reading.kinds.map((raw, i) => (copied && fromElsewhere.has(names[i] ?? "splice") ? 0 : raw));
  const all = possible.reduce((sum, raw) => sum + raw, 0);
  const kinds = possible.map((raw) => (all > 0 ? raw / all : 0));
  const most = Math.max(...kinds);
  const name = names[kinds.indexOf(most)];
  if (name === undefined || most < thresholds.kind) return null;
  return { name, probability: calibrated(most, calibration.kind) };
}

type Calibration = InterpretationManifest["calibration"]["kind"];

/** What a probability has been worth where the truth was known: between the rows linear, as it is where there are none. */
export function calibrated(probability: number, rows: Calibration): number {
  const sorted = [...rows].sort(([a], [b]) => a - b);
  const above = sorted.findIndex(([said]) => said >= probability);
  const [first, last] = [sorted[0], sorted.at(-1)];
  if (first === undefined || last === undefined) return probability;
  if (above <= 0) return above === 0 ? first[1] : last[1];
  const [low, high] = [sorted[above - 1] ?? first, sorted[above] ?? last];
  const share = (probability - low[0]) / (high[0] - low[0]);
  return low[1] + share * (high[1] - low[1]);
}
