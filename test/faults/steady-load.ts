/** A steady load of images, and the check of what became of every one of them. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Analysis, analysisPage, analysis as analysisSchema, type OutputName } from "@omni-iml/shared/analysis";
import { endEvent, statusEvent } from "@omni-iml/shared/events";
import { endpointPaths, type FaultyStack } from "./faulty-stack.ts";
import type { MixedImage, MixedImages } from "./mixed-images.ts";
import { sha256, storedFile } from "./stored-files.ts";

/** An analysis that the service has promised to bring to an end. */
export interface Accepted {
  id: string;
  image: MixedImage;
  outputs: OutputName[];
  at: number;
}

export interface Verdict {
  jobs: number;
  succeeded: number;
  /** Ended `failed`, as corrupt images do. */
  refused: number;
  /** Without an end, a file or an announcement, or ended otherwise than its image has to. */
  lost: number;
  duplicated: number;
  /** Milliseconds from `lifted` to the end of the last analysis that was accepted before. */
  recovery: number;
  complaints: string[];
}

const together = 6;

/** Sends `jobs` images, each until it is accepted, whatever goes wrong; `onAccepted` is told how many there are. */
export async function steadyLoad(
  stack: FaultyStack,
  images: MixedImages,
  jobs: number,
  onAccepted: (count: number) => void,
  patience: number,
): Promise<Accepted[]> {
  const accepted: Accepted[] = [];
  const until = Date.now() + patience;
  let sent = 0;
  const sender = async () => {
    while (sent < jobs) {
      const number = sent++;
      accepted.push(await submit(stack, images.next(), number, until));
      onAccepted(accepted.length);
    }
  };
  await Promise.all(Array.from({ length: together }, sender));
  return accepted;
}

async function submit(stack: FaultyStack, image: MixedImage, number: number, until: number): Promise<Accepted> {
  // Every fifth wants all files; every third is left to the queue.
  const outputs: OutputName[] = number % 5 === 0 ? ["probability", "mask", "overlay", "report"] : ["mask", "report"];
  const headers = {
    "content-type": image.contentType,
    "idempotency-key": randomUUID(),
    prefer: number % 3 === 0 ? "respond-async" : "wait=0",
  };
  const path = `/v1/analyses?options=${encodeURIComponent(JSON.stringify({ outputs }))}`;
  let last = "";
  while (Date.now() < until) {
    try {
      const signal = AbortSignal.timeout(60_000);
      const answer = await stack.fetch(path, { method: "POST", headers, body: image.bytes, signal });
      const text = await answer.text();
      if (answer.ok) return { id: analysisSchema.parse(JSON.parse(text)).id, image, outputs, at: Date.now() };
      last = `${answer.status} ${text.slice(0, 200)}`;
      if (answer.status < 500 && answer.status !== 429) throw new Error(`an image was refused: ${last}`);
      await sleep(Math.min(5, Number(answer.headers.get("retry-after") ?? 0.5)) * 1000);
    } catch (error) {
      if (error instanceof Error && error.message.startsWith("an image was refused")) throw error;
      last = String(error);
      await sleep(500);
    }
  }
  throw new Error(`an image was not accepted in time: ${last}`);
}

/** What became of them; waits for their ends and for the news of them, up to `patience` ms. `real`: made by the model. */
export async function check(
  stack: FaultyStack,
  accepted: readonly Accepted[],
  lifted: number,
  real: boolean,
  patience: number,
): Promise<Verdict> {
  const until = Date.now() + patience;
  const verdict: Verdict = {
    jobs: accepted.length,
    succeeded: 0,
    refused: 0,
    lost: 0,
    duplicated: 0,
    recovery: 0,
    complaints: [],
  };
  const lose = (id: string, why: string) => {
    verdict.lost++;
    verdict.complaints.push(`${id} lost: ${why}`);
  };
  const rest = [...accepted];
  const checker = async () => {
    for (let one = rest.shift(); one !== undefined; one = rest.shift()) {
      const seen = await follow(stack, one.id, until);
      if (seen === null) {
        lose(one.id, "it did not end");
        continue;
      }
      if (seen.ends !== 1) {
        verdict.duplicated++;
        verdict.complaints.push(`${one.id}: ${seen.ends} ends in its events`);
      }
      const { analysis } = seen;
      if (one.at <= lifted) {
        verdict.recovery = Math.max(verdict.recovery, Date.parse(analysis.ended_at ?? "") - lifted);
      }
      if (analysis.status === "succeeded" && !one.image.corrupt) {
        verdict.succeeded++;
        const damage = await damageTo(one, analysis, real);
        if (damage !== null) lose(one.id, damage);
      } else if (analysis.status === "failed" && one.image.corrupt && analysis.error?.retryable === false) {
        verdict.refused++;
      } else {
        lose(one.id, `it ended ${analysis.status}: ${analysis.error?.code} ${analysis.error?.detail}`);
      }
    }
  };
  await Promise.all(Array.from({ length: together }, checker));
  await checkEvents(stack, accepted, until, verdict, lose);
  await checkList(stack, accepted, until, verdict, lose);
  return verdict;
}

/** The event stream to its end: how many ends it tells of, and the analysis as it is then. */
async function follow(
  stack: FaultyStack,
  id: string,
  until: number,
): Promise<{ ends: number; analysis: Analysis } | null> {
  while (Date.now() < until) {
    try {
      const signal = AbortSignal.timeout(Math.max(1, until - Date.now()));
      const answer = await stack.fetch(`/v1/analyses/${id}/events`, { signal });
      const text = await answer.text();
      if (answer.status === 404) return null;
      const events = text.split("\n\n").map((block) => ({
        name: /^event: ?(.*)$/m.exec(block)?.[1],
        data: /^data: ?(.*)$/m.exec(block)?.[1] ?? "",
      }));
      const end = events.find(({ name }) => name === endEvent);
      if (end !== undefined) {
        const told = events
          .filter(({ name }) => name === "status")
          .map(({ data }) => statusEvent.parse(JSON.parse(data)));
        const ends = told.filter(({ status }) => status !== "queued" && status !== "running").length;
        return { ends, analysis: analysisSchema.parse(JSON.parse(end.data)) };
      }
      await sleep(1_000);
    } catch {
      // Broken off, or nobody there at the moment.
      await sleep(1_000);
    }
  }
  return null;
}

/** What is wrong with the files of a finished analysis. */
async function damageTo({ image, outputs }: Accepted, analysis: Analysis, real: boolean): Promise<string | null> {
  if (analysis.image?.sha256 !== image.sha256) return "it is of another image";
  for (const name of outputs) {
    const file = analysis.files[name];
    if (file === undefined) return `${name} is missing`;
    const answer = await fetch(file.url);
    const bytes = new Uint8Array(await answer.arrayBuffer());
    const wanted = real ? file.sha256 : sha256(storedFile(name, image.sha256));
    if (!answer.ok || sha256(bytes) !== wanted) return `${name} is damaged (${answer.status}, ${bytes.length} bytes)`;
  }
  return null;
}

/** Every end was announced to every endpoint, under one id. */
async function checkEvents(
  { receiver }: FaultyStack,
  accepted: readonly Accepted[],
  until: number,
  verdict: Verdict,
  lose: (id: string, why: string) => void,
): Promise<void> {
  const idsOf = (path: string, id: string) => receiver.announced.get(path)?.get(id)?.size ?? 0;
  const missing = () => accepted.filter(({ id }) => endpointPaths.some((path) => idsOf(path, id) === 0));
  while (missing().length > 0 && Date.now() < until) await sleep(500);
  for (const { id } of missing()) lose(id, "its end was not announced to every endpoint");
  for (const { id } of accepted) {
    for (const path of endpointPaths) {
      if (idsOf(path, id) > 1) {
        verdict.duplicated++;
        verdict.complaints.push(`${id}: announced under ${idsOf(path, id)} ids`);
      }
    }
  }
  if (receiver.forged > 0) throw new Error(`${receiver.forged} webhooks were not signed as they should be`);
}

/** The list knows every one of them, and none since the first that nobody was told of. */
async function checkList(
  stack: FaultyStack,
  accepted: readonly Accepted[],
  until: number,
  verdict: Verdict,
  lose: (id: string, why: string) => void,
): Promise<void> {
  const known = new Set(accepted.map(({ id }) => id));
  const oldest = [...known].sort()[0] ?? "";
  for (;;) {
    const listed = new Map<string, string>();
    for (let cursor: string | null = ""; cursor !== null; ) {
      const answer = await stack.fetch(`/v1/analyses?limit=100${cursor === "" ? "" : `&cursor=${cursor}`}`);
      const page = analysisPage.parse(await answer.json());
      const recent = page.data.filter(({ id }) => id >= oldest);
      for (const { id, status } of recent) listed.set(id, status);
      cursor = recent.length === page.data.length ? page.next_cursor : null;
    }
    const behind = accepted.filter(({ id }) => !["succeeded", "failed"].includes(listed.get(id) ?? ""));
    const unknown = [...listed.keys()].filter((id) => !known.has(id));
    if (behind.length === 0 || Date.now() > until) {
      for (const { id } of behind) lose(id, "the list does not know its end");
      verdict.duplicated += unknown.length;
      for (const id of unknown) verdict.complaints.push(`${id} was made although nobody was told of it`);
      return;
    }
    await sleep(1_000);
  }
}
