/** The finding in a few sentences, which cite regions by id and do not claim more than the fields behind them bear. */
import type { Finding, Region, RegionInterpretation } from "@omni-iml/shared/analysis";
import { certaintyOf } from "../interpretation/certainty.ts";
import { english } from "../wording/en.ts";
import type { Wording } from "../wording/wording.ts";

export type Explained = Pick<
  Finding,
  "image" | "verdict" | "score" | "domain" | "modality" | "regions" | "input_quality" | "evidence"
>;

/** More regions than this are counted, not described. */
const described = 3;
/** Findings of other checks than the model's that are named, the weightiest first. */
const checksNamed = 2;

/** @param languageModel its name, where one has described regions. */
export function explain(
  finding: Explained,
  { wording = english, languageModel }: { wording?: Wording; languageModel?: string } = {},
): string {
  const { verdict, score, regions, input_quality, evidence } = finding;
  const interpreted = regions.filter(hasInterpretation);
  // Where the image as a whole is not suspicious, single places are named without a case being made of them.
  const doubted = interpreted.length > 0 && interpreted.every(isDoubted);
  const describing = verdict !== "no_tampering_detected" && interpreted.length > 0 && !doubted;
  const sentences = [
    wording.verdict({ verdict, score, certainty: certaintyOf(score), regions, listed: !describing, doubted }),
    ...(describing ? describe(interpreted, regions.length, wording, languageModel) : []),
    ...weighty(evidence).map(({ summary }) => wording.besides(summary)),
    wording.grounds(finding),
    ...input_quality.slice(0, 1).map((caveat) => wording.caveat(caveat)),
  ];
  return sentences.join(" ");
}

type Interpreted = Region & { interpretation: RegionInterpretation };

function hasInterpretation(region: Region): region is Interpreted {
  return region.interpretation !== null;
}

/** Whether it is taken for a false alarm. */
function isDoubted({ interpretation }: Interpreted): boolean {
  return interpretation.certainty === "unlikely";
}

/** The surest regions first: a reader looks at those. Regions taken for false alarms are counted. */
function describe(
  interpreted: readonly Interpreted[],
  all: number,
  wording: Wording,
  languageModel: string | undefined,
): string[] {
  const sure = ({ interpretation }: Interpreted) => interpretation.true_region ?? 0.5;
  const byCertainty = [...interpreted].sort((a, b) => sure(b) - sure(a));
  const shown = byCertainty.filter((region) => !isDoubted(region)).slice(0, described);
  const sentences = shown.map((region) => {
    const { source, description, certainty } = region.interpretation;
    if (source === "builtin" || languageModel === undefined) return description;
    // The certainty stays the built-in module's: a language model's own is not calibrated.
    const known = wording.region({ ...region, certainty, kind: null, artifacts: [] });
    return `${known} ${wording.quoted(languageModel, description)}`;
  });
  const doubted = interpreted.filter(isDoubted).length;
  const rest = all - shown.length - doubted;
  if (rest > 0) sentences.push(wording.furtherRegions(rest));
  if (doubted > 0) sentences.push(wording.falseAlarms(doubted));
  return sentences;
}

/** What the other checks found that speaks for a manipulation. */
function weighty(evidence: Finding["evidence"]): Finding["evidence"] {
  const order: Finding["evidence"][number]["severity"][] = ["high", "medium"];
  return order.flatMap((severity) => evidence.filter((item) => item.severity === severity)).slice(0, checksNamed);
}
