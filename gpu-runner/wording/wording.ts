/**
 * What a language has to say, so that another language is another file beside en.ts (and, for what the checks besides the
 * network find, beside en-checks.ts).
 *
 * Every function gets fields of the finding and nothing else: a sentence without a field behind it cannot be written.
 */
import type {
  ArtifactTitle,
  Certainty,
  Finding,
  InputQuality,
  ManipulationKind,
  Region,
} from "@omni-iml/shared/analysis";

/** What the words about one region rest on. */
export type WordedRegion = Pick<Region, "id" | "area_fraction" | "position" | "content"> & {
  readonly certainty: Certainty | null;
  readonly kind: { readonly name: ManipulationKind; readonly certainty: Certainty } | null;
  readonly artifacts: readonly ArtifactTitle[];
};

/** Why a vision-language model's answer is not used. */
export type LanguageModelShortcoming =
  | { readonly reason: "not_configured" | "unreachable" | "too_long" | "no_completion" | "not_schema" }
  | { readonly reason: "instructions_in_image" | "other_regions" | "no_description" | "says_the_same" }
  | { readonly reason: "status"; readonly status: number }
  | { readonly reason: "out_of_time"; readonly seconds: number };

/** Why a part of the answer besides the map is missing, or is not what was asked for. */
export type Shortcoming =
  | { readonly part: "interpretation"; readonly reason: "no_model" }
  | { readonly part: "interpretation" | "pictures" | "layout"; readonly reason: "failed"; readonly error: string }
  | { readonly part: "layout"; readonly reason: "no_pictures" }
  | ({ readonly part: "language_model" } & LanguageModelShortcoming);

export interface Wording {
  /** BCP 47. */
  readonly language: string;
  readonly artifacts: Readonly<Record<ArtifactTitle, string>>;
  readonly kinds: Readonly<Record<ManipulationKind, string>>;
  readonly verdicts: Readonly<Record<Finding["verdict"], string>>;
  readonly domains: Readonly<Record<Finding["domain"]["name"], string>>;
  percent(fraction: number): string;
  place(region: Pick<Region, "position">): string;
  /** What is said of one region; whole sentences. */
  region(region: WordedRegion): string;
  /** The verdict, with the regions named where `listed`; `doubted`: a closer look takes every one for a false alarm. */
  verdict(finding: {
    readonly verdict: Finding["verdict"];
    readonly score: number;
    readonly certainty: Certainty;
    readonly regions: readonly Region[];
    readonly listed: boolean;
    readonly doubted: boolean;
  }): string;
  /** So many regions of which nothing has been said. */
  furtherRegions(count: number): string;
  /** So many further ones are taken for false alarms. */
  falseAlarms(count: number): string;
  /** What the judgement rests on. */
  grounds(finding: Pick<Finding, "domain" | "modality" | "image">): string;
  /** What a check beside the pixels found; `summary` is the check's own sentence. */
  besides(summary: string): string;
  caveat(caveat: InputQuality): string;
  /** What a language model saw in a region; `content`, `relative` and `reasons` are its own words. */
  seen(region: {
    readonly content: string;
    readonly relative: string | null;
    readonly kind: ManipulationKind | null;
    readonly reasons: readonly string[];
  }): string;
  /** Why a check is listed as degraded. */
  shortcoming(shortcoming: Shortcoming): string;
  /** Marks sentences that a language model wrote about a region. */
  quoted(model: string, sentences: string): string;
  readonly report: ReportWords;
}

/** Headings and sentences of the report. */
export interface ReportWords {
  readonly title: string;
  readonly subtitle: string;
  readonly headings: Readonly<
    Record<
      | "finding"
      | "pictures"
      | "regions"
      | "evidence"
      | "caveats"
      | "reading"
      | "identity"
      | "files"
      | "image"
      | "analysis"
      | "software",
      string
    >
  >;
  readonly labels: Readonly<
    Record<
      | "analysis"
      | "made_at"
      | "score"
      | "pixel_threshold"
      | "domain"
      | "modality"
      | "format"
      | "size"
      | "bytes"
      | "sha256"
      | "jpeg"
      | "orientation"
      | "frames"
      | "image_file"
      | "model"
      | "model_file"
      | "release"
      | "provider"
      | "interpretation"
      | "attempt"
      | "versions"
      | "file"
      | "type"
      | "region"
      | "where"
      | "what"
      | "reasons"
      | "severity"
      | "found"
      | "meaning"
      | "next_step",
      string
    >
  >;
  readonly severities: Readonly<Record<Finding["evidence"][number]["severity"], string>>;
  readonly modalities: Readonly<Record<Finding["modality"], string>>;
  readonly pictureCaption: string;
  readonly overlayCaption: string;
  readonly noRegions: string;
  readonly noEvidence: string;
  readonly evidenceNotAsked: string;
  readonly noCaveats: string;
  /** What a reader must know about any report. */
  readonly reading: readonly string[];
  readonly notInterpreted: string;
  /** Where no kind is likely enough to be named. */
  readonly noKind: string;
  /** Where no reason is. */
  readonly noReasons: string;
  /** How sure it is that a region was manipulated, with the probability. */
  manipulated(certainty: Certainty, probability: string): string;
  kind(kind: string, certainty: Certainty | null): string;
  /** The text in a region; `confidence` is the recogniser's. */
  reads(text: string, confidence: number | null): string;
  areaOf(share: string): string;
  readonly footer: string;
  verdictThresholds(clear: number, tampered: number): string;
  moreRegions(count: number): string;
  degraded(check: string, reason: string): string;
  pages(page: number, pages: number): string;
}
