/** Repeating a storage request: an answer of 5xx or 429, or none at all, may be another one a moment later. */
import { setTimeout as sleep } from "node:timers/promises";

const pauses = [200, 1000];
/** Milliseconds for one request; the job's own deadline comes on top. */
const requestLimit = 120_000;

/** Storage has refused; asking again changes nothing. */
export class StorageRefusal extends Error {
  override readonly name = "StorageRefusal";
}

export function refuseStatus(response: Response): void {
  if (response.ok) return;
  const message = `object storage answered ${response.status}`;
  throw response.status >= 500 || response.status === 429 ? new Error(message) : new StorageRefusal(message);
}

/**
 * Runs `attempt` up to three times.
 *
 * @throws the signal's reason when it is aborted, otherwise what the last attempt threw.
 */
export async function attempts<Result>(
  signal: AbortSignal,
  attempt: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  for (const pause of [...pauses, null]) {
    try {
      return await attempt(AbortSignal.any([signal, AbortSignal.timeout(requestLimit)]));
    } catch (error) {
      signal.throwIfAborted();
      if (pause === null || error instanceof StorageRefusal) throw error;
      await sleep(pause, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
  throw new Error("unreachable: the last attempt returns or throws");
}
