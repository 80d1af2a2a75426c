/** The `Prefer` header of RFC 7240, as far as it is understood here: `wait=N` and `respond-async`. */

/** Seconds a request may be held; many proxies cut a silent connection at about 100 s. */
const longestWait = 60;

export interface Preference {
  /** Milliseconds to wait for the end; `null` where the caller expresses no preference. */
  wait: number | null;
  /** The caller is content to come back later. */
  async: boolean;
  /** What was honoured, for `Preference-Applied`; `null` if nothing was asked. */
  applied: string | null;
}

/** Reads the header. Preferences that are not understood are ignored, as the RFC demands; longer waits are shortened. */
export function readPreference(header: string | undefined): Preference {
  const preferences = (header ?? "").split(",").map((part) => part.split(";")[0]?.trim().toLowerCase() ?? "");
  const async = preferences.includes("respond-async");
  const seconds = preferences.map((part) => /^wait\s*=\s*"?(\d{1,9})"?$/.exec(part)?.[1]).find((n) => n !== undefined);
  if (seconds !== undefined) {
    const wait = Math.min(Number(seconds), longestWait);
    return { wait: wait * 1000, async, applied: `${async ? "respond-async, " : ""}wait=${wait}` };
  }
  return async ? { wait: 0, async, applied: "respond-async" } : { wait: null, async, applied: null };
}
