/** SHA-256 in lower-case hex, the form in which hashes stand in records and tables. Uses nothing but WebCrypto. */
type Bytes = Parameters<typeof crypto.subtle.digest>[1];

export async function sha256Hex(content: Bytes | string): Promise<string> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
