/** Maps drawn with characters, for tests. */
import type { GreyMap } from "../image/encode.ts";

/** Draws maps by rows of characters: each stands for its level in `levels`, any other for `elsewhere`. */
export function drawing(levels: Readonly<Record<string, number>>, elsewhere: number) {
  return (...rows: string[]): GreyMap => {
    const data = Uint8Array.from(rows.join(""), (character) => levels[character] ?? elsewhere);
    return { data, width: rows[0]?.length ?? 0, height: rows.length };
  };
}
