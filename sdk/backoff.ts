/** How long to wait before a request is sent again. */

const firstDelay = 0.5;
const longestDelay = 30;

/**
 * Seconds before try number `attempt` + 1 (attempts count from 1): what the service asked for, or else half a second
 * that doubles with each try, less up to a half by chance so that clients refused together do not return together.
 */
export function retryDelay(
  attempt: number,
  retryAfter: number | undefined,
  random: () => number = Math.random,
): number {
  if (retryAfter !== undefined) return retryAfter;
  const ceiling = Math.min(longestDelay, firstDelay * 2 ** (attempt - 1));
  return ceiling * (1 - random() / 2);
}

/** `Retry-After` as seconds from `now`; the header is either seconds or an HTTP date (RFC 9110, 10.2.3). */
export function parseRetryAfter(header: string | null, now: number = Date.now()): number | undefined {
  if (header === null) return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - now) / 1000);
}

/** Ends after `seconds`, or rejects with the signal's reason once it aborts. */
export function pause(seconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, seconds * 1000);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}
