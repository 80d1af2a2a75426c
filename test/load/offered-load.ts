/** Clients of the API that do not wait for each other: what they send, and what became of it. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { analysis as analysisSchema } from "@omni-iml/shared/analysis";
import { problemDocument } from "@omni-iml/shared/problems";
import sharp from "sharp";

export interface Account {
  baseUrl: string;
  key: string;
}

/** How a request ended; times in milliseconds of `performance.now()`. */
export type Ending =
  | { kind: "done"; sentAt: number; endedAt: number }
  | { kind: "refused"; sentAt: number; endedAt: number; status: number; code: string; retryAfter: number | null }
  | { kind: "broken"; what: string };

/** Seconds that one request holds its connection; the service allows no more. */
const hold = 60;
/** The edges of the image that is sent, in pixels: one tile. */
const side = 200;

/** Gives small JPEGs that differ in their last bytes alone: no answer comes from the cache, each costs the same. */
export async function smallImages(): Promise<() => Uint8Array<ArrayBuffer>> {
  const scene = sharp(randomBytes(12 * 12 * 3), { raw: { width: 12, height: 12, channels: 3 } });
  const jpeg = await scene.resize(side, side).jpeg({ quality: 88 }).toBuffer();
  return () => new Uint8Array(Buffer.concat([jpeg, randomBytes(16)]));
}

/** Sends one image and follows it to its end. Never throws. */
export async function analyse({ baseUrl, key }: Account, image: Uint8Array<ArrayBuffer>): Promise<Ending> {
  const sentAt = performance.now();
  const headers = { authorization: `Bearer ${key}`, prefer: `wait=${hold}` };
  try {
    const init = { method: "POST", headers: { ...headers, "content-type": "image/jpeg" }, body: image };
    let answer = await fetch(`${baseUrl}/v1/analyses`, init);
    let text = await answer.text();
    if (!answer.ok) {
      const { code } = problemDocument.parse(JSON.parse(text));
      const said = answer.headers.get("retry-after");
      const retryAfter = said === null ? null : Number(said);
      return { kind: "refused", sentAt, endedAt: performance.now(), status: answer.status, code, retryAfter };
    }
    for (;;) {
      const { id, status, error } = analysisSchema.parse(JSON.parse(text));
      if (status === "succeeded") return { kind: "done", sentAt, endedAt: performance.now() };
      if (status !== "queued" && status !== "running")
        return { kind: "broken", what: `${id} ${status} ${error?.code}` };
      answer = await fetch(`${baseUrl}/v1/analyses/${id}`, { headers });
      text = await answer.text();
      if (!answer.ok) return { kind: "broken", what: `reading ${id}: ${answer.status} ${text.slice(0, 200)}` };
    }
  } catch (error) {
    return {
      kind: "broken",
      what: error instanceof Error ? `${error.message}: ${String(error.cause)}` : String(error),
    };
  }
}

/** `perSecond` images for `seconds`, at the times of independent clients, and whatever of them was admitted to its end. */
export async function offer(
  account: Account,
  image: () => Uint8Array<ArrayBuffer>,
  perSecond: number,
  seconds: number,
): Promise<Ending[]> {
  const endings: Promise<Ending>[] = [];
  const start = performance.now();
  for (let due = start; ; ) {
    due += (-Math.log(1 - Math.random()) / perSecond) * 1000;
    if (due - start > seconds * 1000) break;
    await sleep(Math.max(0, due - performance.now()));
    endings.push(analyse(account, image()));
  }
  await sleep(Math.max(0, start + seconds * 1000 - performance.now()));
  return Promise.all(endings);
}

/** `together` clients that send the next image when the last one has ended, a little later where it was refused; for `seconds`. */
export async function saturate(
  account: Account,
  image: () => Uint8Array<ArrayBuffer>,
  together: number,
  seconds: number,
): Promise<Ending[]> {
  const endings: Ending[] = [];
  const until = performance.now() + seconds * 1000;
  const client = async () => {
    while (performance.now() < until) {
      const ending = await analyse(account, image());
      endings.push(ending);
      // The account hears of an end a moment after whoever waits for it.
      if (ending.kind === "refused") await sleep(1_000);
    }
  };
  await Promise.all(Array.from({ length: together }, client));
  return endings;
}
