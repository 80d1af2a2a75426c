/** When a delivery is tried again. */

/** What a receiver may ask for by Retry-After, at most. */
const longestWish = 86_400_000;

/**
 * Milliseconds until the next attempt after `tries` failed ones, or `null` if that was the last. `retryAfter` is what
 * the receiver asked for; a tenth at most is added by chance, so that what failed together does not come back together.
 */
export function nextTry(
  schedule: readonly number[],
  tries: number,
  retryAfter: number | null,
  random: () => number = Math.random,
): number | null {
  const pause = schedule[tries - 1];
  if (pause === undefined) return null;
  return Math.max(pause, Math.min(retryAfter ?? 0, longestWish)) * (1 + random() / 10);
}

/** Milliseconds named by `Retry-After` (seconds or a date), or `null`. */
export function retryAfterOf(headers: Headers, now: number): number | null {
  const value = headers.get("retry-after");
  if (value === null) return null;
  const wait = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isFinite(wait) ? Math.max(0, wait) : null;
}
