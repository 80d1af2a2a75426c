/** How far it is, in one line at the foot of a terminal; elsewhere nothing is written. */

const width = 24;
/** Of terminals that do not tell theirs. */
const usualColumns = 80;

/** As much of a stream as is needed here. */
export interface Terminal {
  isTTY?: boolean;
  columns?: number;
  write(text: string): unknown;
}

export class ProgressBar {
  readonly #out: Terminal;
  readonly #total: number;
  #done = 0;

  constructor(total: number, out: Terminal = process.stderr) {
    this.#total = total;
    this.#out = out;
  }

  /** `text` says what is going on right now. */
  show(text: string): void {
    if (!this.#out.isTTY) return;
    const filled = Math.round((width * this.#done) / Math.max(1, this.#total));
    const bar = "█".repeat(filled) + "░".repeat(width - filled);
    const line = `${bar} ${this.#done}/${this.#total}  ${text}`;
    // One column less: a full line would wrap, and could not be taken away again.
    this.#out.write(`\r\x1b[K${line.slice(0, (this.#out.columns || usualColumns) - 1)}`);
  }

  step(text: string): void {
    this.#done++;
    this.show(text);
  }

  /** Takes the line away, so that something else can be written in its place. */
  clear(): void {
    if (this.#out.isTTY) this.#out.write("\r\x1b[K");
  }
}
