/** The finding in a few sentences, which cite regions by id and do not claim more than the score bears. */
import type { Finding, Region } from "@omni-iml/shared/analysis";

export type Explained = Pick<
  Finding,
  "image" | "verdict" | "score" | "domain" | "modality" | "regions" | "input_quality"
>;

/** More regions than this are counted, not described. */
const described = 3;

const kinds: Readonly<Record<Finding["domain"]["name"], string>> = {
  natural: "photograph",
  document: "document",
  face: "picture of a face",
  scene_text: "picture of text in a scene",
};

function percent(fraction: number): string {
  if (fraction < 0.01) return "less than 1 %";
  return `${Math.round(fraction * 100)} %`;
}

function certainty(score: number): string {
  if (score >= 0.95) return "almost certainly";
  if (score >= 0.8) return "very likely";
  return "probably";
}

function place({ position }: Region): string {
  return position.absolute === "most of the image" ? "covering most of the image" : `at the ${position.absolute}`;
}

function listRegions(regions: readonly Region[]): string {
  const shown = regions
    .slice(0, described)
    .map((region) => `${region.id} ${place(region)} (${percent(region.area_fraction)} of the image)`);
  const more = regions.length - shown.length;
  if (more > 0) shown.push(`${more} smaller ${more === 1 ? "one" : "ones"}`);
  return shown.length < 2 ? shown.join("") : `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
}

function opening({ verdict, score, regions }: Explained): string {
  const shown = percent(score);
  const found = regions.length > 0;
  switch (verdict) {
    case "tampered":
      return found
        ? `The image has ${certainty(score)} been manipulated (score ${shown}): ${listRegions(regions)}.`
        : `The image has ${certainty(score)} been manipulated (score ${shown}), but no single region stands out from the rest.`;
    case "inconclusive":
      return found
        ? `The analysis is inconclusive (score ${shown}). Look at ${listRegions(regions)}: the traces there may come from manipulation or from ordinary processing.`
        : `The analysis is inconclusive (score ${shown}), and no region stands out.`;
    case "no_tampering_detected":
      return found
        ? `No tampering was detected (score ${shown}); that is not proof of authenticity. Single places react without making the image as a whole suspicious: ${listRegions(regions)}.`
        : `No tampering was detected (score ${shown}); that is not proof of authenticity.`;
  }
}

/** What the judgement rests on. Outside a JPEG there are frequencies too, but not those of its compression. */
function grounds({ modality, image }: Explained): string {
  if (modality === "rgb") return "its pixels alone, without frequency traces";
  return image.jpeg === null ? "its pixels and their frequencies" : "its pixels and its JPEG frequency traces together";
}

export function explain(finding: Explained): string {
  const sentences = [opening(finding), `It was judged as a ${kinds[finding.domain.name]}, by ${grounds(finding)}.`];
  const [first] = finding.input_quality;
  if (first !== undefined) sentences.push(`Bear in mind: ${first.summary}`);
  return sentences.join(" ");
}
