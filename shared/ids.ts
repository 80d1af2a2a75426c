/** Identifiers that sort by time: a prefix, ten characters of milliseconds, sixteen of randomness (Crockford base 32, as in ULID). */
import { z } from "zod";

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
const prefixes = {
  account: "ac",
  analysis: "an",
  apiKey: "ak",
  event: "ev",
  request: "rq",
  result: "rs",
  webhookEndpoint: "wh",
} as const;
export type IdKind = keyof typeof prefixes;

/** A new id of `kind`, unique and, to the millisecond, in order of creation. */
export function newId(kind: IdKind, now: number = Date.now()): string {
  let time = "";
  let left = now;
  for (let i = 0; i < 10; i++) {
    time = alphabet.charAt(left % 32) + time;
    left = Math.floor(left / 32);
  }
  const random = crypto.getRandomValues(new Uint8Array(16));
  return `${prefixes[kind]}_${time}${Array.from(random, (byte) => alphabet.charAt(byte % 32)).join("")}`;
}

/** The schema of an id of `kind`. */
export function idSchema(kind: IdKind) {
  return z
    .string()
    .regex(new RegExp(`^${prefixes[kind]}_[${alphabet}]{26}$`), `expected an id such as ${prefixes[kind]}_…`);
}
