/** One picture on its way: sent, followed, read. What the analysis page shows is this state. */
import type { Analysis } from "@omni-iml/shared/analysis";
import { messageOf } from "@omni-iml/shared/message-of";
import { useEffect, useState } from "preact/hooks";
import { follow, type Stage } from "./follow.ts";
import { remember } from "./history.ts";
import { decode, type Picture, thumbnail } from "./picture.ts";
import { addressOf } from "./place.ts";
import {
  beginSession,
  forgetSession,
  readAnalysis,
  readFile,
  readInput,
  type Source,
  sendImage,
  type Trouble,
  TroubleError,
  tooLarge,
} from "./service.ts";

/** A picture that was dropped, pasted, chosen or taken from the samples; sent under its own key. */
export interface Sent {
  kind: "sent";
  image: Blob;
  name: string;
  key: string;
}
export type Target = Sent | Source;

export interface Run {
  phase: "sending" | "following" | "ended" | "trouble";
  /** The part of the image that has been sent, 0…1. */
  sent: number;
  /** In the order in which they came. */
  stages: Stage[];
  connected: boolean;
  analysis: Analysis | null;
  trouble: Trouble | null;
  picture: Picture | null;
  map: ImageBitmap | null;
  /** The browser cannot show the image's own format: the overlay stands in for it. */
  substitute: boolean;
  /** Why there is no map or no image to show, though there is a result. */
  missing: string | null;
}

const mostBytes = 20 * 1024 * 1024;
const mostTries = 5;

const atFirst = (target: Target): Run => ({
  phase: target.kind === "sent" ? "sending" : "following",
  sent: 0,
  stages: [],
  connected: true,
  analysis: null,
  trouble: null,
  picture: null,
  map: null,
  substitute: false,
  missing: null,
});

const unexpected = (error: unknown): Trouble => ({
  code: "page",
  status: 0,
  title: "This page ran into a problem",
  detail: messageOf(error),
  remedy: "Reload it. If that does not help, try a current version of your browser.",
  retryable: true,
});

const pause = (milliseconds: number, signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    addEventListener("online", () => resolve(), { once: true, signal });
    signal.addEventListener("abort", () => clearTimeout(timer));
  });

/** Follows `target` from where it is to its result; `again` counts how often somebody asked to begin anew. */
export function useRun(target: Target, again: number): [Run, (analysis: Analysis) => void] {
  const [run, setRun] = useState(() => atFirst(target));
  useEffect(() => {
    const abort = new AbortController();
    const { signal } = abort;
    const change = (more: Partial<Run>) => {
      if (!signal.aborted) setRun((known) => ({ ...known, ...more }));
    };
    setRun(atFirst(target));
    goThrough(target, signal, change, setRun).catch((error: unknown) => {
      const trouble = error instanceof TroubleError ? error.trouble : unexpected(error);
      change({ phase: "trouble", trouble });
    });
    return () => abort.abort();
  }, [target, again]);
  return [run, (analysis) => setRun((known) => ({ ...known, analysis }))];
}

type Change = (more: Partial<Run>) => void;
type Update = (next: (known: Run) => Run) => void;

async function goThrough(target: Target, signal: AbortSignal, change: Change, update: Update): Promise<void> {
  if (target.kind === "shared") {
    const analysis = await readAnalysis(target, signal);
    change({ phase: "ended", analysis });
    await show(target, analysis, null, change);
    return;
  }
  let picture: Picture | null = null;
  if (target.kind === "sent") {
    if (target.image.size > mostBytes) throw new TroubleError(tooLarge(mostBytes));
    // Not every format that the service reads is one that the browser shows.
    picture = await decode(target.image).catch(() => null);
    change({ picture });
  }
  const analysis = target.kind === "sent" ? await send(target, signal, change) : await readAnalysis(target, signal);
  if (signal.aborted) return;
  const own: Source = { kind: "own", id: analysis.id };
  // Replaced, not followed: it is still the same page, and going back leads to where one was before.
  if (target.kind === "sent") history.replaceState(null, "", addressOf(own));
  const name = analysis.input.filename ?? "image";
  const note = (now: Analysis, shown: Picture | null) =>
    remember({
      id: now.id,
      name,
      at: now.created_at,
      expires: now.expires_at,
      verdict: now.verdict,
      score: now.score,
      thumbnail: shown && thumbnail(shown),
    });
  if (target.kind === "sent") note(analysis, picture);
  const ended = async (last: Analysis) => {
    change({ phase: "ended", analysis: last, connected: true });
    const shown = await show(own, last, picture, change);
    if (!signal.aborted) note(last, shown);
  };
  if (analysis.ended_at !== null) return ended(analysis);
  change({ phase: "following", sent: 1, analysis });
  if (picture === null && target.kind === "own") {
    readInput(own)
      .then(decode)
      .then((seen) => {
        picture = seen;
        change({ picture });
      })
      .catch(() => undefined);
  }
  follow(
    analysis.id,
    {
      stage: (stage) => update((known) => ({ ...known, stages: withStage(known.stages, stage) })),
      connected: (connected) => change({ connected }),
      ended: (last) => {
        ended(last).catch((error: unknown) => change({ phase: "trouble", trouble: unexpected(error) }));
      },
      failed: (error) =>
        change({ phase: "trouble", trouble: error instanceof TroubleError ? error.trouble : unexpected(error) }),
    },
    signal,
  );
}

function withStage(stages: Stage[], stage: Stage): Stage[] {
  const last = stages.at(-1);
  return last?.stage === stage.stage ? [...stages.slice(0, -1), stage] : [...stages, stage];
}

/** Sends the image; a connection that breaks off, and a session that has ended, are no reason to give up. */
async function send(target: Sent, signal: AbortSignal, change: Change): Promise<Analysis> {
  for (let tries = 1; ; tries++) {
    try {
      await beginSession();
      const sent = (part: number) => change({ sent: part, connected: true });
      const analysis = await sendImage(target.image, target.name, target.key, signal, sent);
      change({ connected: true });
      return analysis;
    } catch (error) {
      if (!(error instanceof TroubleError) || signal.aborted || tries >= mostTries) throw error;
      const { code } = error.trouble;
      if (code === "unauthorized" && tries === 1) forgetSession();
      else if (code === "offline" || code === "overloaded" || code === "too_many_in_flight") {
        change({ sent: 0, connected: code !== "offline" });
        await pause((error.retryAfter ?? tries) * 1_000, signal);
      } else throw error;
    }
  }
}

/** Fetches what there is to see. */
async function show(
  source: Source,
  analysis: Analysis,
  known: Picture | null,
  change: Change,
): Promise<Picture | null> {
  if (analysis.status !== "succeeded") {
    const picture =
      known ??
      (await readInput(source)
        .then(decode)
        .catch(() => null));
    change({ picture });
    return picture;
  }
  const { probability, overlay } = analysis.files;
  const mapping = probability
    ? readFile(probability.url).then((blob) => createImageBitmap(blob, { colorSpaceConversion: "none" }))
    : Promise.resolve(null);
  let picture = known;
  let substitute = false;
  let missing: string | null = null;
  picture ??= await readInput(source)
    .then(decode)
    .catch(() => null);
  if (picture === null && overlay) {
    picture = await readFile(overlay.url)
      .then(decode)
      .catch(() => null);
    substitute = picture !== null;
  }
  if (picture === null) missing = "The image is no longer kept, or this browser cannot show its format.";
  change({ picture, substitute, missing });
  try {
    change({ map: await mapping });
  } catch {
    change({ missing: "The probability map could not be fetched. Reload the page to try again." });
  }
  return picture;
}
