/** The edge's part in tests: signs jobs, sends them and reads the lines. */
import { createHash } from "node:crypto";
import type { OutputName } from "@omni-iml/shared/analysis";
import { newId } from "@omni-iml/shared/ids";
import { type InferLine, inferLine } from "@omni-iml/shared/inference";
import { type ProblemDocument, problemDocument } from "@omni-iml/shared/problems";
import { signedHeaders } from "@omni-iml/shared/signature";
import type { LocalStorage } from "./storage.ts";

export const secret = "a secret between edge and runner";

export interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly lines: InferLine[];
  /** Of a refusal, or of the last line. */
  readonly problem: ProblemDocument | null;
  readonly result: Extract<InferLine, { type: "result" }> | null;
}

export interface JobChanges {
  readonly sha256?: string;
  readonly bytes?: number;
  readonly release?: string;
  readonly deadline?: number;
  readonly outputs?: readonly OutputName[];
  readonly options?: object;
  readonly secret?: string;
  readonly extra?: object;
  readonly signal?: AbortSignal;
  readonly onLine?: (line: InferLine) => void;
}

export class Caller {
  readonly #base: string;
  readonly #release: string;
  readonly #storage: LocalStorage;

  constructor(port: number, release: string, storage: LocalStorage) {
    this.#base = `http://127.0.0.1:${port}`;
    this.#release = release;
    this.#storage = storage;
  }

  get(path: string): Promise<Response> {
    return fetch(`${this.#base}${path}`);
  }

  /** Stores the image and has it analysed; outputs go to `/<job>/<output>`. */
  async analyse(image: Uint8Array, changes: JobChanges = {}): Promise<Answer & { readonly job: string }> {
    const job = newId("analysis");
    this.#storage.objects.set(`/${job}/input`, Buffer.from(image));
    return { job, ...(await this.send(job, image, changes)) };
  }

  async send(job: string, image: Uint8Array, changes: JobChanges = {}): Promise<Answer> {
    const wanted = changes.outputs ?? (["probability", "mask", "overlay", "report"] as const);
    const body = JSON.stringify({
      job_id: job,
      attempt: 1,
      release: changes.release ?? this.#release,
      input_url: this.#storage.url(`/${job}/input`),
      sha256: changes.sha256 ?? createHash("sha256").update(image).digest("hex"),
      bytes: changes.bytes ?? image.byteLength,
      outputs: Object.fromEntries(wanted.map((name) => [name, this.#storage.url(`/${job}/${name}`)])),
      options: changes.options ?? {},
      deadline: changes.deadline ?? Date.now() + 120_000,
      ...changes.extra,
    });
    const path = "/v1/infer";
    const response = await fetch(`${this.#base}${path}`, {
      method: "POST",
      body,
      headers: await signedHeaders(changes.secret ?? secret, { method: "POST", path, body }),
      signal: changes.signal ?? null,
    });
    const retryAfter = response.headers.get("retry-after");
    if (response.status !== 200) {
      const problem = problemDocument.parse(await response.json());
      return { status: response.status, retryAfter, lines: [], problem, result: null };
    }
    const lines: InferLine[] = [];
    let rest = "";
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const parts = (rest + chunk).split("\n");
      rest = parts.pop() ?? "";
      for (const part of parts) {
        const line = inferLine.parse(JSON.parse(part));
        lines.push(line);
        changes.onLine?.(line);
      }
    }
    const last = lines.at(-1);
    return {
      status: 200,
      retryAfter,
      lines,
      problem: last?.type === "problem" ? last.problem : null,
      result: last?.type === "result" ? last : null,
    };
  }
}
