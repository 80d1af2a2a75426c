/** Structured logs: one JSON object a line. Never image content, never signed addresses. */
type Level = "info" | "warn" | "error";

/** The chain of an error's causes, without the query of any address in it (signed URLs are credentials). */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  for (let current = error; current !== undefined && parts.length < 5; ) {
    parts.push(current instanceof Error ? `${current.name}: ${current.message}` : String(current));
    current = current instanceof Error ? current.cause : undefined;
  }
  return parts.join(" <- ").replaceAll(/(https?:\/\/[^\s?"']+)\?[^\s"']+/g, "$1?…");
}

/**
 * The path of a request without the token that opens a shared analysis: it is a credential as a signature is, also in an
 * address that is nearly right and leads nowhere.
 */
export function loggedPath(path: string): string {
  return path.replaceAll(/(shared(?:\/|%2f)+)[^/]+/gi, "$1…").replaceAll(/sh_[0-9a-z]{30,}/gi, "…");
}

export function log(level: Level, message: string, fields: Record<string, unknown> = {}): void {
  const entry: Record<string, unknown> = { level, message };
  for (const [name, value] of Object.entries(fields)) {
    entry[name] = value instanceof Error ? describeError(value) : value;
  }
  console[level](JSON.stringify(entry));
}
