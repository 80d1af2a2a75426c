/** `client.analyses`: make, read, follow, wait for and remove analyses. */
import { readResource } from "./answer.ts";
import { pause, retryDelay } from "./backoff.ts";
import { ConnectionError, UnexpectedAnswerError, WaitTimeoutError } from "./errors.ts";
import { asBlob, type ImageInput, nameOf } from "./image-input.ts";
import { Page } from "./page.ts";
import type {
  Analysis,
  AnalysisPage,
  AnalysisSummary,
  Erasure,
  Metadata,
  NewAnalysisOptions,
  NewFeedback,
  RequestWebhook,
  StageChange,
  StatusChange,
} from "./resources.ts";
import { serverSentEvents } from "./server-sent-events.ts";
import type { CallOptions, Transport, WriteOptions } from "./transport.ts";
import type { Uploads } from "./uploads.ts";

/** Bytes of the largest image that a request can carry; a larger one is uploaded first. */
const largestInRequest = 20 * 1024 * 1024;
/** The longest time the service holds one answer back. */
const longestWait = 60;
/** A service that does not hold answers back is asked no more often than this. */
const shortestPoll = 0.5;
/** A stream says at least every 15 s that it is alive. */
const streamSilence = 45;

interface CreateWishes {
  options?: NewAnalysisOptions | undefined;
  /** Your own labels, given back as they are. */
  metadata?: Metadata | undefined;
  /** Told when the analysis has ended. */
  webhook?: RequestWebhook | undefined;
  /** Seconds (0 to 60) to wait for the end; 0: answer at once. Default: the service's. */
  wait?: number | undefined;
}

/** The image itself, where it lies, or what was uploaded before. */
export type CreateParams = CreateWishes &
  (
    | {
        /** The file as it is stored: re-encoding it first would destroy what the analysis looks for. Up to 200 MB. */
        image: ImageInput;
        filename?: string | undefined;
      }
    | { image_url: string }
    | { upload_id: string }
  );

export interface ListParams {
  /** Of one page, up to 100. */
  limit?: number | undefined;
  status?: Analysis["status"] | undefined;
  /** The `next_cursor` of a page. */
  cursor?: string | undefined;
}

/** What {@link Analyses.stream} gives; `end` is the last one, with the analysis itself. */
export type AnalysisStreamEvent =
  | { event: "status"; data: StatusChange }
  | { event: "stage"; data: StageChange }
  | { event: "end"; data: Analysis };

const ended: ReadonlySet<Analysis["status"]> = new Set(["succeeded", "failed", "canceled", "expired"]);

export class Analyses {
  readonly #transport: Transport;
  readonly #uploads: Uploads;

  constructor(transport: Transport, uploads: Uploads) {
    this.#transport = transport;
    this.#uploads = uploads;
  }

  /**
   * Sends an image. The analysis may not have ended when this returns: see {@link Analyses.wait} and
   * {@link Analyses.stream}. However often it has to be sent, it becomes one analysis.
   */
  async create(params: CreateParams, options: WriteOptions = {}): Promise<Analysis> {
    const { wait, options: wishes, metadata, webhook } = params;
    const call = { method: "POST", path: "/v1/analyses", wait, ...options } as const;
    const beside = { options: wishes, metadata, webhook };
    if (!("image" in params)) {
      const where = "image_url" in params ? { image_url: params.image_url } : { upload_id: params.upload_id };
      return analysisOf(await this.#transport.send({ ...call, json: { ...where, ...beside } }));
    }
    const image = asBlob(params.image);
    const filename = params.filename ?? nameOf(params.image);
    if (image.size > largestInRequest) {
      const { signal, maxRetries, timeout } = options;
      const upload = await this.#uploads.send(image, { filename }, { signal, maxRetries, timeout });
      return analysisOf(await this.#transport.send({ ...call, json: { upload_id: upload.id, ...beside } }));
    }
    const form = new FormData();
    for (const [name, value] of Object.entries(beside)) if (value !== undefined) form.set(name, JSON.stringify(value));
    form.set("image", image, filename ?? "image");
    return analysisOf(await this.#transport.send({ ...call, body: form }));
  }

  /** The analysis as it is now, or, with `wait`, once it has ended or that many seconds are over. */
  async retrieve(
    id: string,
    { wait, ...options }: { wait?: number | undefined } & CallOptions = {},
  ): Promise<Analysis> {
    return analysisOf(await this.#transport.send({ method: "GET", path: pathOf(id), wait, ...options }));
  }

  /** Summaries, newest first: a page that can be iterated over to the end of the list. */
  list({ cursor, ...params }: ListParams = {}, options: CallOptions = {}): Promise<Page<AnalysisSummary>> {
    return Page.first(cursor, async (from) => {
      const call = { method: "GET", path: "/v1/analyses", query: { ...params, cursor: from }, ...options } as const;
      return readResource<AnalysisPage>(await this.#transport.send(call), "list");
    });
  }

  /** Queued: ends at once. Running: the result is discarded. Ended: stays as it is. */
  async cancel(id: string, options: WriteOptions = {}): Promise<Analysis> {
    return analysisOf(await this.#transport.send({ method: "POST", path: `${pathOf(id)}/cancel`, ...options }));
  }

  /** Erases record, input and results. */
  async delete(id: string, options: CallOptions = {}): Promise<void> {
    await this.#transport.send({ method: "DELETE", path: pathOf(id), ...options });
  }

  /** What is left in storage of an analysis that was deleted or has expired. */
  async erasure(id: string, options: CallOptions = {}): Promise<Erasure> {
    const response = await this.#transport.send({ method: "GET", path: `${pathOf(id)}/erasure`, ...options });
    return readResource<Erasure>(response, "erasure");
  }

  /** What you found yourself; kept with the analysis. */
  async feedback(id: string, finding: NewFeedback, options: WriteOptions = {}): Promise<Analysis> {
    const call = { method: "POST", path: `${pathOf(id)}/feedback`, json: finding, ...options } as const;
    return analysisOf(await this.#transport.send(call));
  }

  /**
   * The analysis once it has ended, in whichever state: `failed` is an answer, not an exception.
   * Throws {@link WaitTimeoutError} after `timeout` seconds (default 300).
   */
  async wait(
    id: string,
    { timeout = 300, signal }: { timeout?: number | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<Analysis> {
    const deadline = performance.now() + 1000 * timeout;
    for (;;) {
      const left = (deadline - performance.now()) / 1000;
      if (left <= 0) throw new WaitTimeoutError(id, timeout);
      const asked = performance.now();
      const current = await this.retrieve(id, { wait: Math.max(1, Math.min(longestWait, Math.floor(left))), signal });
      if (ended.has(current.status)) return current;
      const spent = (performance.now() - asked) / 1000;
      if (spent < shortestPoll) await pause(shortestPoll - spent, signal);
    }
  }

  /**
   * What happens to the analysis, from its beginning, as it happens. A connection that breaks is made again and
   * nothing comes twice or is missed; `maxRetries` such failures in a row are thrown.
   */
  async *stream(id: string, options: CallOptions = {}): AsyncGenerator<AnalysisStreamEvent, void, undefined> {
    let lastId = "";
    for (let failures = 0; ; ) {
      const headers = { accept: "text/event-stream", ...(lastId === "" ? {} : { "last-event-id": lastId }) };
      const call = { method: "GET", path: `${pathOf(id)}/events`, headers, ...options, stream: true } as const;
      const { body } = await this.#transport.send(call);
      if (body === null) throw new UnexpectedAnswerError(200, "the event stream has no body");
      let cause: unknown;
      try {
        for await (const sent of serverSentEvents(body, streamSilence)) {
          lastId = sent.lastId || lastId;
          failures = 0;
          const event = streamEvent(sent.event, sent.data);
          if (event !== null) yield event;
          if (event?.event === "end") return;
        }
      } catch (error) {
        options.signal?.throwIfAborted();
        if (error instanceof UnexpectedAnswerError) throw error;
        cause = error;
      }
      failures++;
      if (failures > (options.maxRetries ?? streamRetries)) {
        throw new ConnectionError(`the events of ${id} broke off`, { cause });
      }
      await pause(retryDelay(failures, undefined), options.signal);
    }
  }
}

const streamRetries = 4;

/** The event by its name; those that a newer service may add are passed over. */
function streamEvent(event: string, text: string): AnalysisStreamEvent | null {
  if (event !== "status" && event !== "stage" && event !== "end") return null;
  try {
    return { event, data: JSON.parse(text) };
  } catch (cause) {
    throw new UnexpectedAnswerError(200, `an event is no JSON: ${text.slice(0, 200)}`, { cause });
  }
}

function analysisOf(response: Response): Promise<Analysis> {
  return readResource<Analysis>(response, "analysis");
}

function pathOf(id: string): string {
  return `/v1/analyses/${encodeURIComponent(id)}`;
}
