/** English. */
import { type Certainty, type Region, relativePosition } from "@omni-iml/shared/analysis";
import type { LanguageModelShortcoming, WordedRegion, Wording } from "./wording.ts";

const adverbs: Readonly<Record<Certainty, string>> = {
  almost_certain: "almost certainly",
  very_likely: "very likely",
  likely: "probably",
  uncertain: "possibly",
  unlikely: "hardly",
};

const kinds: Wording["kinds"] = {
  splice: "content from another picture that was put in here",
  copy_move: "a copy of another part of the same picture",
  removal: "a place from which something was removed and covered up",
  local_edit: "a place that was edited by itself, such as blurred, sharpened or recoloured",
  generated: "content that a generative model made",
  text_replace: "text that was put in the place of other text",
  text_insert: "text that was added",
  text_erase: "a place from which text was erased",
  mark_insert: "a stamp, signature or mark that was added",
  face_swap: "a face, or features of one, from another picture",
  retouch: "a face that was retouched",
};

const artifacts: Wording["artifacts"] = {
  edge: "its outline is unlike the outlines around it",
  lighting: "its light or shadow does not fit what surrounds it",
  noise: "its noise differs from that around it",
  resolution: "its sharpness differs from that around it",
  compression: "its compression traces differ from those around it",
  texture: "its texture does not go on from that around it",
  alignment: "it is out of line with what stands beside it",
  font: "its letters differ in shape, weight or size from those around it",
  colour: "its colours do not fit those around it",
  repetition: "it repeats another part of the picture",
  geometry: "its shape, size or perspective does not fit the scene",
  semantics: "what it shows does not fit the rest of the picture",
};

const domains: Wording["domains"] = {
  natural: "photograph",
  document: "document",
  face: "picture of a face",
  scene_text: "picture of text in a scene",
};

/** More regions than this are counted, not listed. */
const listed = 3;

function percent(fraction: number): string {
  if (fraction < 0.01) return "less than 1 %";
  return `${Math.round(fraction * 100)} %`;
}

function list(items: readonly string[]): string {
  return items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function place({ position }: Pick<Region, "position">): string {
  return position.absolute === "most of the image" ? "covering most of the image" : `at the ${position.absolute}`;
}

/** ", left of r2" */
function beside({ position }: Pick<Region, "position">): string {
  const [, relation, other] = position.relative?.match(relativePosition) ?? [];
  return relation === undefined ? "" : `, ${relation} ${other}`;
}

function listRegions(regions: readonly Region[]): string {
  const shown = regions
    .slice(0, listed)
    .map((region) => `${region.id} ${place(region)} (${percent(region.area_fraction)} of the image)`);
  const more = regions.length - shown.length;
  if (more > 0) shown.push(`${more} smaller ${more === 1 ? "one" : "ones"}`);
  return list(shown);
}

function region(shown: WordedRegion): string {
  const { certainty, kind } = shown;
  const subject = `${shown.id} (${place(shown)}${beside(shown)}; ${percent(shown.area_fraction)} of the image)`;
  const reading = shown.content === null ? [] : [`The text there reads “${shown.content}”.`];
  if (certainty === null) return [`${subject} stands out from the rest.`, ...reading].join(" ");
  if (certainty === "unlikely") {
    return [`${subject} is more likely a false alarm than a manipulation.`, ...reading].join(" ");
  }
  const sentences =
    certainty === "uncertain"
      ? [`${subject} may have been manipulated or may be a false alarm.`]
      : [`${subject} was ${adverbs[certainty]} manipulated.`];
  // Of two guesses on top of each other a reader can make nothing.
  if (kind !== null && !(certainty === "uncertain" && kind.certainty === "uncertain")) {
    const subject = certainty === "uncertain" ? "If it was, it" : "It";
    sentences.push(`${subject} is ${adverbs[kind.certainty]} ${kinds[kind.name]}.`);
  }
  if (shown.artifacts.length > 0) {
    sentences.push(sentence(list(shown.artifacts.map((title) => artifacts[title]))));
  }
  return [...sentences, ...reading].join(" ");
}

function each({ length }: readonly Region[]): string {
  return length === 1 ? "the one region that reacts is" : "each of the regions that react is";
}

const verdict: Wording["verdict"] = ({ verdict: said, score, certainty, regions, listed: naming, doubted }) => {
  const shown = percent(score);
  const named = naming ? listRegions(regions) : "";
  const found = regions.length > 0;
  switch (said) {
    case "tampered":
      if (!found) {
        return `The image was ${adverbs[certainty]} manipulated (score ${shown}), but no single region stands out from the rest.`;
      }
      if (doubted) {
        return `The image as a whole was ${adverbs[certainty]} manipulated (score ${shown}), but where could not be confirmed: seen by itself, ${each(regions)} more likely a false alarm (${named}).`;
      }
      return `The image was ${adverbs[certainty]} manipulated (score ${shown})${naming ? `: ${named}` : ""}.`;
    case "inconclusive":
      if (!found) return `The analysis is inconclusive (score ${shown}), and no region stands out.`;
      if (doubted) {
        return `The analysis is inconclusive (score ${shown}): seen by itself, ${each(regions)} more likely a false alarm (${named}), but the image as a whole is not clear of suspicion.`;
      }
      return `The analysis is inconclusive (score ${shown}): what reacts may come from manipulation or from ordinary processing.${naming ? ` Look at ${named}.` : ""}`;
    case "no_tampering_detected":
      return found
        ? `No tampering was detected (score ${shown}); that is not proof of authenticity. Single places react without making the image as a whole suspicious: ${listRegions(regions)}.`
        : `No tampering was detected (score ${shown}); that is not proof of authenticity.`;
  }
};

function languageModel(shortcoming: LanguageModelShortcoming): string {
  switch (shortcoming.reason) {
    case "not_configured":
      return "No vision-language model is configured on this service.";
    case "unreachable":
      return "The vision-language model could not be reached.";
    case "status":
      return `The vision-language model answered with status ${shortcoming.status}.`;
    case "out_of_time":
      return `The vision-language model did not answer within ${shortcoming.seconds} s.`;
    case "too_long":
      return "The vision-language model's answer is too long.";
    case "no_completion":
      return "The vision-language model's answer is no completion.";
    case "not_schema":
      return "The vision-language model's answer does not fit its schema.";
    case "instructions_in_image":
      return "The image holds text that addresses a language model, so none was listened to.";
    case "other_regions":
      return "The vision-language model did not describe the regions that it was asked about.";
    case "no_description":
      return "The vision-language model's answer is no description of the regions.";
    case "says_the_same":
      return "The vision-language model says the same of everything.";
  }
}

export const english: Wording = {
  language: "en",
  artifacts,
  kinds,
  domains,
  verdicts: {
    tampered: "Tampering found",
    no_tampering_detected: "No tampering detected",
    inconclusive: "Inconclusive",
  },
  percent,
  place,
  region,
  verdict,
  falseAlarms: (count) =>
    count === 1
      ? "One further region is probably a false alarm."
      : `${count} further regions are probably false alarms.`,
  furtherRegions: (count) => (count === 1 ? "One further region is listed." : `${count} further regions are listed.`),
  grounds({ domain, modality, image }) {
    // Outside a JPEG there are frequencies too, but not those of its compression.
    const traces =
      image.jpeg === null ? "its pixels and their frequencies" : "its pixels and its JPEG frequency traces";
    const used = modality === "rgb" ? "its pixels alone, without frequency traces" : traces;
    return `It was judged as a ${domains[domain.name]}, by ${used}.`;
  },
  besides: (summary) => `Besides the pixels: ${summary}`,
  caveat: ({ summary }) => `Bear in mind: ${summary}`,
  shortcoming(shortcoming) {
    switch (shortcoming.part) {
      case "language_model":
        return `${languageModel(shortcoming)} The built-in interpretation is given instead.`;
      case "pictures":
        return `Its pictures could not be made: ${shortcoming.error}`;
      case "layout":
        return shortcoming.reason === "no_pictures"
          ? "The report's pictures could not be made."
          : `The report could not be laid out: ${shortcoming.error}.`;
      case "interpretation":
        return shortcoming.reason === "no_model"
          ? "This release has no interpretation model."
          : `The interpretation model failed: ${shortcoming.error}`;
    }
  },

  seen({ content, relative, kind, reasons }) {
    const end = (text: string) => (/[.!?]$/.test(text) ? text : `${text}.`);
    return [
      end(relative === null ? content : `${content.replace(/\.$/, "")}; ${relative}`),
      ...(kind === null ? [] : [`Looks like ${kinds[kind]}.`]),
      ...reasons.map(end),
    ].join(" ");
  },
  quoted: (model, sentences) => `In the words of the language model ${model}: “${sentences}”`,
  report: {
    title: "Image analysis report",
    subtitle: "Search for traces of manipulation",
    headings: {
      finding: "Finding",
      pictures: "The image",
      regions: "Regions",
      evidence: "Evidence besides the pixels",
      caveats: "Caveats",
      reading: "How to read this report",
      identity: "Identification",
      files: "Files of this analysis",
      image: "Image",
      analysis: "Analysis",
      software: "Software",
    },
    labels: {
      analysis: "Analysis",
      made_at: "Made",
      score: "Score",
      pixel_threshold: "Pixel threshold",
      domain: "Judged as",
      modality: "Traces used",
      format: "Format",
      size: "Size as displayed",
      bytes: "File size",
      sha256: "SHA-256",
      jpeg: "JPEG",
      orientation: "Orientation tag",
      frames: "Frames or pages",
      image_file: "Image file, SHA-256",
      model: "Model",
      model_file: "Model file, SHA-256",
      release: "Release",
      provider: "Computed on",
      interpretation: "Interpretation",
      attempt: "Attempt",
      versions: "Versions",
      file: "File",
      type: "Type",
      region: "Region",
      where: "Where",
      what: "What",
      reasons: "Reasons",
      severity: "Weight",
      found: "What was found",
      meaning: "What it means",
      next_step: "What to do",
    },
    severities: { info: "for information", low: "low", medium: "medium", high: "high" },
    modalities: { rgb: "pixels alone", fused: "pixels and frequencies" },
    pictureCaption: "The image as displayed, reduced where it is large.",
    overlayCaption:
      "Where the model reacts: from yellow to red as the probability of manipulation rises; regions outlined and numbered as in the table.",
    noRegions: "No region reached the threshold.",
    noEvidence: "The checks besides the pixels found nothing to report. Where traces are missing, that proves nothing.",
    evidenceNotAsked: "Evidence besides the pixels was not asked for.",
    noCaveats: "Nothing about the input limits this analysis beyond what is said below.",
    reading: [
      "The score is the calibrated probability that anything in the image was manipulated. It is an estimate of a model, not a measurement, and it can be wrong in both directions.",
      "“No tampering detected” does not mean that the image is authentic: careful work, small changes, resizing and saving again leave few traces or none.",
      "A region is where pixels are more probably manipulated than the threshold says. A certainty is that of the region, never above the image's score: from 95 % almost certain, from 80 % very likely, from 60 % likely, from 40 % uncertain, below that probably a false alarm.",
      "Reasons are what a model saw in the region compared with what lies around it. They point at places to look at; they are no proof by themselves.",
      "What an image shows, where it comes from and whether its caption is true cannot be told from its pixels. Compare with the original file and its source wherever they can be had.",
    ],
    notInterpreted: "not assessed",
    noKind: "kind not told",
    noReasons: "none that stands out enough to be named",
    manipulated: (certainty, probability) =>
      certainty === "unlikely"
        ? `probably a false alarm (${probability} that it is not)`
        : certainty === "uncertain"
          ? `manipulated or a false alarm (${probability})`
          : `${adverbs[certainty]} manipulated (${probability})`,
    kind: (kind, certainty) => (certainty === null ? `looks like ${kind}` : `${adverbs[certainty]} ${kind}`),
    reads: (text, confidence) =>
      `The text there reads “${text}”${confidence === null ? "" : ` (read with ${percent(confidence)} confidence)`}.`,
    areaOf: (share) => `${share} of the image`,
    footer: "All times are UTC.",
    verdictThresholds: (clear, tampered) =>
      `tampering from ${percent(tampered)}, nothing detected up to ${percent(clear)}, inconclusive between`,
    moreRegions: (count) =>
      count === 1 ? "One smaller region is in the JSON report." : `${count} smaller regions are in the JSON report.`,
    degraded: (check, reason) => `The check “${check}” could not be completed: ${reason}`,
    pages: (page, pages) => `Page ${page} of ${pages}`,
  },
};
