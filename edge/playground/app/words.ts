/** How the page says things: numbers, sizes, times, and the service's own terms. */
import type { Analysis, Certainty, ManipulationKind } from "@omni-iml/shared/analysis";

/** The space does not break. */
export const percent = (fraction: number) =>
  `${(100 * fraction).toFixed(fraction < 0.1 && fraction > 0 ? 1 : 0)}\u00a0%`;

export function bytes(count: number): string {
  if (count < 1024) return `${count} B`;
  const kibibytes = count / 1024;
  return kibibytes < 1024 ? `${Math.round(kibibytes)} kB` : `${(kibibytes / 1024).toFixed(1)} MB`;
}

export const seconds = (milliseconds: number) =>
  milliseconds < 1_000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;

const clock = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
export const moment = (time: string | number) => clock.format(new Date(time));

/** `in 23 hours`, `5 minutes ago`. */
export function relative(time: string | number, now = Date.now()): string {
  const format = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
  const minutes = Math.round((new Date(time).getTime() - now) / 60_000);
  if (Math.abs(minutes) < 60) return format.format(minutes, "minute");
  const hours = Math.round(minutes / 60);
  return Math.abs(hours) < 48 ? format.format(hours, "hour") : format.format(Math.round(hours / 24), "day");
}

/** `scene_text` → `scene text`; terms of the service read as they are. */
export const plain = (term: string) => term.replaceAll("_", " ");
export const sentence = (term: string) => plain(term).replace(/^./, (first) => first.toUpperCase());

export const domainNames: Readonly<Record<string, string>> = {
  natural: "Photograph",
  document: "Document",
  face: "Face",
  scene_text: "Text in a scene",
};

export const verdicts = {
  tampered: { title: "Tampering found", short: "Tampered", tone: "alarm" },
  no_tampering_detected: { title: "No tampering detected", short: "Nothing found", tone: "calm" },
  inconclusive: { title: "Inconclusive", short: "Inconclusive", tone: "unsure" },
} as const satisfies Record<NonNullable<Analysis["verdict"]>, object>;

/** What a score means for somebody who has never seen one. */
export function meaning({ verdict, score, threshold, regions }: Analysis): string {
  if (verdict === "tampered") {
    if ((regions ?? []).every(({ interpretation }) => interpretation?.certainty === "unlikely")) {
      return "The picture as a whole looks edited, but no single place could be confirmed. Look at all of it.";
    }
    return "At least part of this picture looks edited. The marked areas are where to look first.";
  }
  if (verdict === "inconclusive") {
    return "There are signs both ways, or too little in the picture to tell. Try the original file if you can get it.";
  }
  const close = score !== null && threshold !== null && score > 0.6 * threshold;
  return close
    ? "Nothing crossed the line, but not by much. This is not proof that the picture is authentic."
    : "The model found no traces of an edit. This is not proof that the picture is authentic.";
}

export const kindNames = {
  splice: "Put in from another picture",
  copy_move: "Copied within the picture",
  removal: "Something removed",
  local_edit: "Edited in place",
  generated: "Generated",
  text_replace: "Text replaced",
  text_insert: "Text added",
  text_erase: "Text erased",
  mark_insert: "Stamp or signature added",
  face_swap: "Face swapped",
  retouch: "Retouched",
} as const satisfies Record<ManipulationKind, string>;

export const certaintyWords = {
  almost_certain: "Almost certainly edited",
  very_likely: "Very likely edited",
  likely: "Likely edited",
  uncertain: "Perhaps edited",
  unlikely: "Unlikely to be edited",
} as const satisfies Record<Certainty, string>;

/** What is being done, by the runner's name for it; names that are not here are shown as they are. */
const stages: Readonly<Record<string, string>> = {
  queued: "Waiting for a free place",
  running: "Taken on by a runner",
  download: "Fetching the image",
  decode: "Decoding, without disturbing its traces",
  inference: "Looking at pixels and frequency traces",
  interpretation: "Working out what was done, and how it shows",
  encode: "Drawing map, mask and overlay",
  report: "Writing the report",
  upload: "Storing the results",
  retrying: "Something broke off; trying again",
};
export const stageName = (stage: string) => stages[stage] ?? sentence(stage);
