/** What stands in a report, before anybody decides how it looks: HTML and PDF are made of this. */
import type { Finding, Region } from "@omni-iml/shared/analysis";
import { certaintyOf } from "../interpretation/certainty.ts";
import type { Wording } from "../wording/wording.ts";
import type { ReportRecord } from "./record.ts";

/** Regions that have a row in the table, the weightiest first. */
export const mostRows = 12;

export interface Fact {
  readonly label: string;
  readonly value: string;
  /** A hash or an id: to be compared character by character. */
  readonly exact: boolean;
}

export interface RegionRow {
  readonly id: string;
  readonly where: readonly string[];
  /** null where nothing is said of the kind: of what is taken for a false alarm. */
  readonly what: string | null;
  readonly certainty: string;
  readonly reasons: readonly string[];
  /** To be said in their place where there are none. */
  readonly noReasons: string;
  /** The text in the region, and how sure it is that it was read rightly. */
  readonly content: string | null;
}

export interface EvidenceRow {
  readonly severity: Finding["evidence"][number]["severity"];
  readonly weight: string;
  readonly found: string;
  readonly meaning: string;
  readonly nextStep: string | null;
}

export interface ReportContent {
  readonly language: string;
  readonly title: string;
  readonly subtitle: string;
  readonly product: string;
  readonly analysis: string;
  /** UTC, to the second. */
  readonly made: string;
  readonly verdict: {
    readonly code: Finding["verdict"];
    readonly name: string;
    readonly score: string;
    readonly thresholds: string;
  };
  readonly explanation: string;
  readonly captions: { readonly image: string; readonly overlay: string };
  readonly regions: readonly RegionRow[];
  readonly regionsNote: string | null;
  readonly evidence: readonly EvidenceRow[];
  readonly evidenceNote: string | null;
  readonly caveats: readonly string[];
  readonly reading: readonly string[];
  readonly facts: readonly { readonly heading: string; readonly rows: readonly Fact[] }[];
  readonly files: readonly {
    readonly name: string;
    readonly type: string;
    readonly bytes: string;
    readonly sha256: string;
  }[];
  readonly words: Wording["report"];
}

export function contentOf(record: ReportRecord, wording: Wording): ReportContent {
  const words = wording.report;
  const { verdict, score, regions, evidence, input_quality, degraded_checks, release } = record;
  const caveats = [
    ...input_quality.map(({ summary }) => summary),
    ...degraded_checks.map(({ check, reason }) => words.degraded(check, reason)),
  ];
  return {
    language: wording.language,
    title: words.title,
    subtitle: words.subtitle,
    product: `Omni-IML ${record.model.version}`,
    analysis: record.analysis,
    made: timeOf(record.made_at),
    verdict: {
      code: verdict,
      name: wording.verdicts[verdict],
      score: wording.percent(score),
      thresholds: words.verdictThresholds(release.thresholds.clear, release.thresholds.tampered),
    },
    explanation: record.explanation,
    captions: { image: words.pictureCaption, overlay: words.overlayCaption },
    regions: regions.slice(0, mostRows).map((region) => rowOf(region, wording)),
    regionsNote:
      regions.length === 0
        ? words.noRegions
        : regions.length > mostRows
          ? words.moreRegions(regions.length - mostRows)
          : null,
    evidence: [...evidence]
      .sort((a, b) => weights.indexOf(a.severity) - weights.indexOf(b.severity))
      .map(({ severity, summary, meaning, next_step }) => ({
        severity,
        weight: words.severities[severity],
        found: summary,
        meaning,
        nextStep: next_step,
      })),
    evidenceNote: record.options.evidence ? (evidence.length === 0 ? words.noEvidence : null) : words.evidenceNotAsked,
    caveats: caveats.length === 0 ? [words.noCaveats] : caveats,
    reading: words.reading,
    facts: factsOf(record, wording),
    files: Object.entries(record.files).map(([name, { bytes, sha256, content_type }]) => ({
      name,
      type: content_type,
      bytes: number(bytes),
      sha256,
    })),
    words,
  };
}

const weights: readonly EvidenceRow["severity"][] = ["high", "medium", "low", "info"];

function rowOf(region: Region, wording: Wording): RegionRow {
  const { bbox, position, interpretation, manipulation } = region;
  const kind = manipulation === null ? null : wording.kinds[manipulation];
  const probability = interpretation?.manipulation_probability ?? null;
  const relative = position.relative === null ? [] : [position.relative];
  return {
    id: region.id,
    where: [
      [position.absolute, ...relative].join(", "),
      `${number(bbox.width)} × ${number(bbox.height)} px at (${number(bbox.x)}, ${number(bbox.y)})`,
      wording.report.areaOf(wording.percent(region.area_fraction)),
    ],
    what:
      kind === null
        ? interpretation?.certainty === "unlikely"
          ? null
          : wording.report.noKind
        : wording.report.kind(kind, probability === null ? null : certaintyOf(probability)),
    certainty: certaintyWords(interpretation, wording),
    reasons: (interpretation?.reasons ?? []).map(({ description, probability: share }) =>
      share === null ? description : `${description} (${wording.percent(share)})`,
    ),
    noReasons: interpretation === null ? wording.report.notInterpreted : wording.report.noReasons,
    content: region.content === null ? null : wording.report.reads(region.content, region.content_confidence),
  };
}

function certaintyWords(interpretation: Region["interpretation"], wording: Wording): string {
  if (interpretation === null || interpretation.certainty === null || interpretation.true_region === null) {
    return wording.report.notInterpreted;
  }
  return wording.report.manipulated(interpretation.certainty, wording.percent(interpretation.true_region));
}

function factsOf(record: ReportRecord, wording: Wording): ReportContent["facts"] {
  const { image, model, release, options } = record;
  const { labels, headings, modalities } = wording.report;
  const fact = (label: string, value: string, exact = false): Fact => ({ label, value, exact });
  const jpeg = image.jpeg && [
    ...(image.jpeg.quality === null ? [] : [`≈ ${image.jpeg.quality}`]),
    ...(image.jpeg.subsampling === null ? [] : [image.jpeg.subsampling]),
    ...(image.jpeg.progressive ? ["progressive"] : []),
  ];
  return [
    {
      heading: headings.image,
      rows: [
        fact(labels.image_file, image.sha256, true),
        fact(labels.format, image.format.toUpperCase()),
        fact(labels.size, `${number(image.width)} × ${number(image.height)} px`),
        fact(labels.bytes, `${number(image.bytes)} B`),
        ...(jpeg === null || jpeg.length === 0 ? [] : [fact(labels.jpeg, jpeg.join(", "))]),
        fact(labels.orientation, String(image.orientation)),
        ...(image.frames > 1 ? [fact(labels.frames, number(image.frames))] : []),
      ],
    },
    {
      heading: headings.analysis,
      rows: [
        fact(labels.analysis, record.analysis, true),
        fact(labels.made_at, timeOf(record.made_at)),
        fact(labels.score, record.score.toFixed(4)),
        fact(labels.pixel_threshold, String(record.threshold)),
        fact(labels.domain, `${wording.domains[record.domain.name]} (${wording.percent(record.domain.confidence)})`),
        fact(labels.modality, modalities[record.modality]),
        fact(labels.interpretation, interpretationOf(record, options.interpretation)),
        fact(labels.attempt, String(record.attempt)),
      ],
    },
    {
      heading: headings.software,
      rows: [
        fact(labels.model, `${model.name} ${model.version}, ${model.precision}`),
        fact(labels.release, model.release, true),
        fact(labels.model_file, release.model.sha256, true),
        fact(labels.provider, model.provider.toUpperCase()),
        fact(
          labels.versions,
          Object.entries(record.software)
            .map((each) => each.join(" "))
            .join(", "),
        ),
      ],
    },
  ];
}

function interpretationOf({ release, language_model }: ReportRecord, asked: string): string {
  const network =
    release.interpretation === null
      ? []
      : [`${asked === "none" ? "none" : `built-in ${release.interpretation.version}`}`];
  return [...network, ...(language_model === null ? [] : [language_model])].join(", ") || asked;
}

/** Digits in groups of three, whatever the machine's locale: 12 345 678. */
function number(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, "\u00a0");
}

function timeOf(iso: string): string {
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
}
