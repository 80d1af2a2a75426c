/**
 * W3C Trace Context: https://www.w3.org/TR/trace-context/. A request continues its caller's trace or begins one, the
 * analysis keeps it, and every call of a runner hands it on, so that one trace shows the whole way.
 */

/** Version 00, trace id, parent id, flags; ids of nothing but zeros are invalid. */
const format = /^([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

function randomHex(bytes: number): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, "0")).join(
    "",
  );
}

/** The `traceparent` of a new span below `parent`; without a valid one, of a new trace. */
export function childSpan(parent: string | null | undefined): string {
  const [, version, trace, , flags, more] = format.exec(parent ?? "") ?? [];
  // Later versions may say more than this one understands; 00 says no more, and ff is no version.
  const valid = trace !== undefined && version !== "ff" && (version !== "00" || more === undefined);
  if (!valid) return `00-${randomHex(16)}-${randomHex(8)}-01`;
  return `00-${trace}-${randomHex(8)}-${Number.parseInt(flags ?? "0", 16) & 1 ? "01" : "00"}`;
}

export function traceId(traceparent: string): string {
  return traceparent.slice(3, 35);
}
