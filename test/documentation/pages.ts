/** The pages that people read, and the snippets in them. */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

export const repository = resolve(import.meta.dirname, "../..");

/** Paths from the repository's root. */
export const pages: readonly string[] = [
  "README.md",
  "sdk/README.md",
  ...readdirSync(join(repository, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];

export interface Snippet {
  /** Such as `docs/webhooks.md:17`: where its first line stands. */
  place: string;
  /** As the fence names it; `text`, `json` and `jsonc` are shown, everything else is run. */
  language: string;
  code: string;
  /** Why it is not run with its page: what stands in `<!-- run elsewhere: … -->` above it. */
  elsewhere: string | null;
}

export function readPage(page: string): string {
  return readFileSync(join(repository, page), "utf8");
}

export function snippetsOf(page: string): Snippet[] {
  const lines = readPage(page).split("\n");
  const snippets: Snippet[] = [];
  for (let at = 0; at < lines.length; at++) {
    const language = /^```(\w+)$/.exec(lines[at] ?? "")?.[1];
    if (language === undefined) continue;
    const end = lines.indexOf("```", at);
    if (end < 0) throw new Error(`${page}:${at + 1}: the snippet does not end`);
    snippets.push({
      place: `${page}:${at + 2}`,
      language,
      code: lines.slice(at + 1, end).join("\n"),
      elsewhere: /^<!-- run elsewhere: (.+) -->$/.exec(lines[at - 1] ?? "")?.[1] ?? null,
    });
    at = end;
  }
  return snippets;
}
