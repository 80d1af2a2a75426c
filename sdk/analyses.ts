/** `client.analyses`: make, read, wait for and remove analyses. */
import {
  type Analysis,
  type AnalysisOptions,
  type AnalysisPage,
  type AnalysisStatus,
  analysis,
  analysisPage,
} from "@omni-iml/shared/analysis";
import type { z } from "zod";
import { pause } from "./backoff.ts";
import { UnexpectedAnswerError, WaitTimeoutError } from "./errors.ts";
import type { Transport } from "./transport.ts";

/** The longest time the service holds one answer back. */
const longestWait = 60;
/** A service that does not hold answers back is asked no more often than this. */
const shortestPoll = 0.5;

export type ImageInput = Blob | ArrayBuffer | Uint8Array<ArrayBuffer>;

export interface CreateParams {
  /** The file as it is stored: re-encoding it first would destroy what the analysis looks for. */
  image: ImageInput;
  filename?: string;
  options?: Partial<AnalysisOptions>;
  metadata?: Record<string, string>;
  /** Seconds (0 to 60) to wait for the end; 0: answer at once. Default: the service's. */
  wait?: number;
}

export interface CallOptions {
  signal?: AbortSignal;
}

export interface ListParams {
  limit?: number;
  status?: AnalysisStatus;
  cursor?: string;
}

const ended: ReadonlySet<AnalysisStatus> = new Set(["succeeded", "failed", "canceled", "expired"]);

export class Analyses {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Sends an image. The analysis may not have ended when this returns: see {@link Analyses.wait}.
   * A broken connection is not retried, because the image may have been accepted.
   */
  async create(params: CreateParams, { signal }: CallOptions = {}): Promise<Analysis> {
    const form = new FormData();
    if (params.options) form.set("options", JSON.stringify(params.options));
    if (params.metadata) form.set("metadata", JSON.stringify(params.metadata));
    const blob = params.image instanceof Blob ? params.image : new Blob([params.image]);
    const name = params.filename ?? (blob instanceof File ? blob.name : "image");
    form.set("image", blob, name);
    const response = await this.#transport.send({
      method: "POST",
      path: "/v1/analyses",
      body: form,
      wait: params.wait,
      signal,
    });
    return parse(analysis, response);
  }

  /** The analysis as it is now, or, with `wait`, once it has ended or that many seconds are over. */
  async retrieve(id: string, { wait, signal }: { wait?: number } & CallOptions = {}): Promise<Analysis> {
    return parse(analysis, await this.#transport.send({ method: "GET", path: pathOf(id), wait, signal }));
  }

  /** One page of summaries, newest first; give its `next_cursor` as `cursor` for the next one. */
  async list(params: ListParams = {}, { signal }: CallOptions = {}): Promise<AnalysisPage> {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(params)) query.set(name, String(value));
    const path = query.size === 0 ? "/v1/analyses" : `/v1/analyses?${query}`;
    return parse(analysisPage, await this.#transport.send({ method: "GET", path, signal }));
  }

  /** Erases record, input and results. */
  async delete(id: string, { signal }: CallOptions = {}): Promise<void> {
    const response = await this.#transport.send({ method: "DELETE", path: pathOf(id), signal });
    await response.body?.cancel();
  }

  async cancel(id: string, { signal }: CallOptions = {}): Promise<Analysis> {
    return parse(analysis, await this.#transport.send({ method: "POST", path: `${pathOf(id)}/cancel`, signal }));
  }

  /**
   * The analysis once it has ended, in whichever state: `failed` is an answer, not an exception.
   * Throws {@link WaitTimeoutError} after `timeout` seconds (default 300).
   */
  async wait(id: string, { timeout = 300, signal }: { timeout?: number } & CallOptions = {}): Promise<Analysis> {
    const deadline = performance.now() + 1000 * timeout;
    for (;;) {
      const left = (deadline - performance.now()) / 1000;
      if (left <= 0) throw new WaitTimeoutError(id, timeout);
      const asked = performance.now();
      const current = await this.retrieve(id, {
        wait: Math.max(1, Math.min(longestWait, Math.floor(left))),
        ...(signal ? { signal } : {}),
      });
      if (ended.has(current.status)) return current;
      const spent = (performance.now() - asked) / 1000;
      if (spent < shortestPoll) await pause(shortestPoll - spent, signal);
    }
  }
}

function pathOf(id: string): string {
  return `/v1/analyses/${encodeURIComponent(id)}`;
}

async function parse<Schema extends z.ZodType>(schema: Schema, response: Response): Promise<z.infer<Schema>> {
  const text = await response.text();
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new UnexpectedAnswerError(
      response.status,
      `the answer is not what this version of the client knows: ${text.slice(0, 200)}`,
      cause,
    );
  }
}
