/** The answer to a job: one JSON value a line, at least one every five seconds. */
import type { InferLine } from "@omni-iml/shared/inference";

/** Milliseconds of silence after which the last stage line is repeated: less than the promised five seconds. */
const longestSilence = 4000;
/** Milliseconds between two lines that only report progress. */
const progressPause = 200;

export class LineStream {
  readonly body: ReadableStream<Uint8Array>;
  readonly #encoder = new TextEncoder();
  readonly #heartbeat: NodeJS.Timeout;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #stage: Extract<InferLine, { type: "stage" }> | null = null;
  #writtenAt = performance.now();

  /** @param onHangUp the reader has gone. */
  constructor(onHangUp: () => void) {
    this.body = new ReadableStream({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => {
        this.#stop();
        onHangUp();
      },
    });
    this.#heartbeat = setInterval(() => {
      if (this.#stage !== null && performance.now() - this.#writtenAt >= longestSilence) this.#write(this.#stage);
    }, 500);
  }

  stage(line: Extract<InferLine, { type: "stage" }>): void {
    const progressOnly = line.stage === this.#stage?.stage && line.progress !== 1;
    this.#stage = line;
    if (!progressOnly || performance.now() - this.#writtenAt >= progressPause) this.#write(line);
  }

  /** Writes the last line. */
  end(line: Exclude<InferLine, { type: "stage" }>): void {
    this.#write(line);
    const controller = this.#controller;
    this.#stop();
    controller?.close();
  }

  /** Nobody will read this stream. */
  discard(): void {
    this.#stop();
  }

  #write(line: InferLine): void {
    this.#writtenAt = performance.now();
    this.#controller?.enqueue(this.#encoder.encode(`${JSON.stringify(line)}\n`));
  }

  #stop(): void {
    clearInterval(this.#heartbeat);
    this.#controller = null;
  }
}
