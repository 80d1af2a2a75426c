/** Identifiers that sort by time: a prefix, ten characters of milliseconds, sixteen of randomness (Crockford base 32, as in ULID). */
import { z } from "zod";

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
const prefixes = {
  account: "ac",
  analysis: "an",
  apiKey: "ak",
  batch: "ba",
  event: "ev",
  request: "rq",
  result: "rs",
  upload: "up",
  webhookEndpoint: "wh",
} as const;
export type IdKind = keyof typeof prefixes;

/** A new id of `kind`, unique and, to the millisecond, in order of creation. */
export function newId(kind: IdKind, now: number = Date.now()): string {
  return compose(kind, now, crypto.getRandomValues(new Uint8Array(16)));
}

/** The id that `name` has, always the same: 80 bits of SHA-256 in place of the random ones. */
export async function namedId(kind: IdKind, name: string, time: number): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(name));
  return compose(kind, time, new Uint8Array(hash, 0, 16));
}

function compose(kind: IdKind, milliseconds: number, bytes: Uint8Array): string {
  let time = "";
  let left = milliseconds;
  for (let i = 0; i < 10; i++) {
    time = alphabet.charAt(left % 32) + time;
    left = Math.floor(left / 32);
  }
  return `${prefixes[kind]}_${time}${Array.from(bytes, (byte) => alphabet.charAt(byte % 32)).join("")}`;
}

/** The schema of an id of `kind`. */
export function idSchema(kind: IdKind) {
  return z
    .string()
    .regex(new RegExp(`^${prefixes[kind]}_[${alphabet}]{26}$`), `expected an id such as ${prefixes[kind]}_…`)
    .meta({ example: `${prefixes[kind]}_01kaw4v3r8h7t2m9c5x1q6zd0e` });
}
