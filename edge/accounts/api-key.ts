/**
 * API keys: `omni_live_<lookup>_<secret>`. The look-up part finds the row, and of the secret only the SHA-256 is stored.
 * Uses nothing but WebCrypto, so that scripts under Node can make keys, too.
 */
import { sha256Hex } from "../storage/digest.ts";

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
/** 32 letters: every byte modulo 32 is equally likely. 12 letters hold 60 bits, 32 hold 160. */
const lookupLength = 12;
const secretLength = 32;
const format = new RegExp(`^omni_live_([${alphabet}]{${lookupLength}})_([${alphabet}]{${secretLength}})$`);

export interface ApiKeyParts {
  lookup: string;
  secret: string;
}

/** What a key begins with, by which it is told apart from others without giving it away. */
export const keyPrefix = (lookup: string) => `omni_live_${lookup}`;

/** So many letters that nobody guesses, five bits each. */
export function randomLetters(length: number): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(length)), (byte) => alphabet.charAt(byte % 32)).join("");
}

/** A new key: the text for its owner, and what is stored of it. */
export async function newApiKey(): Promise<{ key: string; lookup: string; secretSha256: string }> {
  const lookup = randomLetters(lookupLength);
  const secret = randomLetters(secretLength);
  return { key: `${keyPrefix(lookup)}_${secret}`, lookup, secretSha256: await hashSecret(secret) };
}

/** The parts of a well-formed key, else `null`. */
export function parseApiKey(key: string): ApiKeyParts | null {
  const [, lookup, secret] = format.exec(key) ?? [];
  return lookup === undefined || secret === undefined ? null : { lookup, secret };
}

/** What is stored of a secret. It is 160 random bits, which nobody guesses, so that a slow hash would protect nothing. */
export function hashSecret(secret: string): Promise<string> {
  return sha256Hex(secret);
}

/** Whether two hashes or tokens are equal, in a time that does not depend on where they differ. */
export function sameHash(a: string, b: string): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i % Math.max(1, b.length));
  return difference === 0;
}
