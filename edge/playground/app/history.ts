/** What this browser has analysed: kept here and nowhere else, and no longer than the service keeps it. */
import type { Analysis } from "@omni-iml/shared/analysis";

export interface Remembered {
  id: string;
  name: string;
  at: string;
  expires: string | null;
  verdict: Analysis["verdict"];
  score: number | null;
  /** A `data:` address of a small picture. */
  thumbnail: string | null;
}

const place = "omni-iml.analyses";
const most = 30;

export function remembered(now = Date.now()): Remembered[] {
  try {
    const list: unknown = JSON.parse(localStorage.getItem(place) ?? "[]");
    if (!Array.isArray(list)) return [];
    return list.filter(isRemembered).filter(({ expires }) => expires === null || Date.parse(expires) > now);
  } catch {
    // Storage is switched off, or what is in it is not ours.
    return [];
  }
}

function isRemembered(entry: unknown): entry is Remembered {
  return typeof entry === "object" && entry !== null && "id" in entry && "name" in entry && "at" in entry;
}

export function remember(entry: Remembered): void {
  keep([entry, ...remembered().filter(({ id }) => id !== entry.id)].slice(0, most));
}

export function forget(id: string): void {
  keep(remembered().filter((entry) => entry.id !== id));
}

function keep(list: Remembered[]): void {
  try {
    localStorage.setItem(place, JSON.stringify(list));
  } catch {
    // Full or switched off: the page works without.
  }
}
