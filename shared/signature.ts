/**
 * HMAC-SHA-256 over method, path, timestamp and body, by which the runner knows that a request is the edge's.
 *
 * Headers: `omni-timestamp` (Unix seconds) and `omni-signature` (`v1=` and lower-case hex; several, separated by
 * spaces, while a secret is rotated).
 */
export const timestampHeader = "omni-timestamp";
export const signatureHeader = "omni-signature";
/** Seconds by which the timestamp may differ from the verifier's clock. */
export const signatureTolerance = 300;

export interface SignedParts {
  method: string;
  path: string;
  body: string;
}

function importKey(secret: string, usage: "sign" | "verify") {
  return crypto.subtle.importKey("raw", new TextEncoder().encode(secret), { name: "HMAC", hash: "SHA-256" }, false, [
    usage,
  ]);
}

function message({ method, path, body }: SignedParts, timestamp: number) {
  return new TextEncoder().encode(`${method.toUpperCase()}\n${path}\n${timestamp}\n${body}`);
}

/** The two headers that sign a request now. */
export async function signedHeaders(
  secret: string,
  parts: SignedParts,
  now: number = Date.now(),
): Promise<Record<string, string>> {
  const timestamp = Math.floor(now / 1000);
  const mac = await crypto.subtle.sign("HMAC", await importKey(secret, "sign"), message(parts, timestamp));
  const hex = Array.from(new Uint8Array(mac), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { [timestampHeader]: String(timestamp), [signatureHeader]: `v1=${hex}` };
}

/** Whether one of the signatures is that of `secret` and the timestamp is near. Compares in constant time. */
export async function verifySignature(
  secret: string,
  parts: SignedParts,
  headers: { get(name: string): string | null },
  now: number = Date.now(),
): Promise<boolean> {
  const written = headers.get(timestampHeader) ?? "";
  // One spelling alone: who remembers requests by this header must not take "1.8e9" for another time than "1800000000".
  if (!/^[1-9]\d{0,14}$/.test(written)) return false;
  const timestamp = Number(written);
  if (Math.abs(now / 1000 - timestamp) > signatureTolerance) return false;
  const key = await importKey(secret, "verify");
  for (const candidate of (headers.get(signatureHeader) ?? "").split(" ")) {
    const match = /^v1=([0-9a-f]{64})$/.exec(candidate);
    if (!match?.[1]) continue;
    const mac = Uint8Array.from({ length: 32 }, (_, i) => Number.parseInt(match[1]?.slice(2 * i, 2 * i + 2) ?? "", 16));
    if (await crypto.subtle.verify("HMAC", key, mac, message(parts, timestamp))) return true;
  }
  return false;
}
