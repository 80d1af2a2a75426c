/** Where in the page one is, as its address says behind `#`: nothing of it is sent to a server. */
import type { Source } from "./service.ts";

export type Place = { kind: "home" } | Source;

export function placeIn(hash: string): Place {
  const [, room, name] = /^#\/(analyses|shared)\/([a-z]{2}_[0-9a-z]+)$/.exec(hash) ?? [];
  if (name === undefined) return { kind: "home" };
  return room === "shared" ? { kind: "shared", token: name } : { kind: "own", id: name };
}

export const addressOf = (place: Place): string =>
  place.kind === "home" ? "#/" : place.kind === "own" ? `#/analyses/${place.id}` : `#/shared/${place.token}`;
