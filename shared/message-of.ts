/** What was thrown, in words: an error's message, or what else it was as text. */
export const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));
