/**
 * How many bytes of images this isolate holds in memory for requests under way. An isolate has 128 MB for everything;
 * beyond the budget a request is refused at once instead of taking all others down.
 */
import { Problem } from "@omni-iml/shared/problems";

let reserved = 0;

/** Reserves `bytes` until it is disposed of. Throws `overloaded` if they do not fit. */
export function reserveInBand(bytes: number, budget: number): Disposable {
  if (reserved + bytes > budget) {
    const detail = "Too many images are being received at the moment.";
    throw new Problem("overloaded", detail, { retryAfter: 1 });
  }
  reserved += bytes;
  let held = bytes;
  return {
    [Symbol.dispose]() {
      reserved -= held;
      held = 0;
    },
  };
}
