/** The requests of the page. All go to where the page came from, with the cookie of its session. */
import type { Analysis } from "@omni-iml/shared/analysis";
import type { NewFeedback } from "@omni-iml/shared/feedback";
import type { PlaygroundSession } from "@omni-iml/shared/playground";
import type { ProblemDocument } from "@omni-iml/shared/problems";
import type { Share } from "@omni-iml/shared/shares";

/** What went wrong, and what to do about it: the service's own words where it answered. */
export type Trouble = Pick<ProblemDocument, "title" | "detail" | "remedy" | "retryable"> & {
  /** `offline` is the page's own: no answer came. */
  code: string;
  instance?: string | undefined;
  status: number;
};

export class TroubleError extends Error {
  override readonly name = "TroubleError";
  readonly trouble: Trouble;
  /** Seconds to wait, if the service said so. */
  readonly retryAfter: number | null;

  constructor(trouble: Trouble, retryAfter: number | null = null) {
    super(trouble.detail);
    this.trouble = trouble;
    this.retryAfter = retryAfter;
  }
}

const noAnswer: Trouble = {
  code: "offline",
  status: 0,
  title: "The service does not answer",
  detail: "The connection broke off or the service is not running.",
  remedy: "Check the connection, then try again. Nothing is sent or counted twice.",
  retryable: true,
};

export const tooLarge = (limit: number): Trouble => ({
  code: "image_too_large",
  status: 413,
  title: "The image has too many bytes",
  detail: `The playground takes up to ${limit / 1024 / 1024} MB.`,
  remedy: "Send larger files by the API: uploads go up to 200 MB.",
  retryable: false,
});

function troubleFrom(status: number, text: string): Trouble {
  try {
    const document: Partial<ProblemDocument> = JSON.parse(text);
    if (document.title !== undefined && document.code !== undefined) {
      const { code, title, detail = "", remedy = "", retryable = false, instance } = document;
      return { code, title, detail, remedy, retryable, instance, status };
    }
  } catch {
    // Something between here and the service has answered.
  }
  return { ...noAnswer, code: "bad_answer", status, detail: `The answer was ${status}, and not the service's own.` };
}

async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch {
    throw new TroubleError(noAnswer);
  }
  if (response.ok) return response;
  const retryAfter = Number(response.headers.get("retry-after")) || null;
  throw new TroubleError(troubleFrom(response.status, await response.text()), retryAfter);
}

let session: Promise<PlaygroundSession> | null = null;

/** Begins a session, or goes on with this browser's; asked for when something is sent, not before. */
export function beginSession(): Promise<PlaygroundSession> {
  session ??= ask("/v1/playground/session", { method: "POST" })
    .then((response) => response.json())
    .catch((error: unknown) => {
      session = null;
      throw error;
    });
  return session;
}

/** Whoever was told that the session is unknown asks for another one. */
export function forgetSession(): void {
  session = null;
}

/**
 * Sends an image; `sent` hears of the part that has left (0…1). Under the same `key` it may be sent again: it becomes
 * one analysis.
 */
export function sendImage(
  image: Blob,
  name: string,
  key: string,
  signal: AbortSignal,
  sent: (part: number) => void,
): Promise<Analysis> {
  return new Promise((resolve, reject) => {
    // Not `fetch`, which does not tell how far an upload has come.
    const request = new XMLHttpRequest();
    request.open("POST", "/v1/analyses");
    request.setRequestHeader("prefer", "respond-async");
    request.setRequestHeader("idempotency-key", key);
    request.upload.onprogress = ({ loaded, total }) => sent(total > 0 ? loaded / total : 0);
    request.onerror = () => reject(new TroubleError(noAnswer));
    request.onload = () => {
      if (request.status < 300) resolve(JSON.parse(request.responseText));
      else {
        const retryAfter = Number(request.getResponseHeader("retry-after")) || null;
        reject(new TroubleError(troubleFrom(request.status, request.responseText), retryAfter));
      }
    };
    signal.addEventListener("abort", () => request.abort());
    const form = new FormData();
    form.set("image", image, name);
    request.send(form);
  });
}

const json = async <Body>(response: Promise<Response>): Promise<Body> => (await response).json();

/** An analysis of this browser's, or one that was shared. */
export type Source = { kind: "own"; id: string } | { kind: "shared"; token: string };

const address = (source: Source) =>
  source.kind === "own" ? `/v1/analyses/${source.id}` : `/v1/shared/${source.token}`;

export const readAnalysis = (source: Source, signal: AbortSignal) => json<Analysis>(ask(address(source), { signal }));
export const readInput = async (source: Source) => (await ask(`${address(source)}/input`)).blob();
export const readFile = async (url: string) => (await ask(url)).blob();
export const eventsOf = (id: string) => `/v1/analyses/${id}/events`;

export const shareAnalysis = (id: string) => json<Share>(ask(`/v1/analyses/${id}/share`, { method: "POST" }));
export const unshareAnalysis = (id: string) => ask(`/v1/analyses/${id}/share`, { method: "DELETE" });
export const eraseAnalysis = (id: string) => ask(`/v1/analyses/${id}`, { method: "DELETE" });
export const cancelAnalysis = (id: string) => json<Analysis>(ask(`/v1/analyses/${id}/cancel`, { method: "POST" }));
export const sendFeedback = (id: string, finding: NewFeedback["finding"]) =>
  json<Analysis>(
    ask(`/v1/analyses/${id}/feedback`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ finding }),
    }),
  );
