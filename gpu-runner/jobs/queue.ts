/**
 * Whose turn it is in the inference process.
 *
 * A batch's job takes its turn as if it had come `batchDelay` later: those that somebody waits for go first, and no job
 * waits for more than what came within that time after it. Batches leave one place free, so that what somebody waits for
 * finds one. What needs more memory than is left is overtaken by what needs less, but not for longer than `patience`.
 */

export interface Queued {
  readonly pixels: number;
  readonly priority: "interactive" | "batch";
  /** Milliseconds. */
  readonly queuedAt: number;
  /** Has to be in hand alone: if the process ends again, it is known by which job. */
  readonly alone: boolean;
}

const batchDelay = 15_000;
const patience = 10_000;

export interface Limits {
  /** Jobs in hand. */
  readonly jobs: number;
  /** Their pixels; a larger job is taken alone. */
  readonly pixels: number;
}

function due({ queuedAt, priority }: Queued): number {
  return queuedAt + (priority === "batch" ? batchDelay : 0);
}

function pixelsOf(jobs: Iterable<Queued>): number {
  let sum = 0;
  for (const { pixels } of jobs) sum += pixels;
  return sum;
}

export class JobQueue<Job extends Queued> {
  readonly #limits: Limits;
  #waiting: Job[] = [];

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get length(): number {
    return this.#waiting.length;
  }

  get pixels(): number {
    return pixelsOf(this.#waiting);
  }

  /** Pixels of those waiting that a new job of this priority finds before it. */
  pixelsBefore(priority: Queued["priority"]): number {
    return pixelsOf(this.#waiting.filter((job) => priority === "batch" || job.priority === "interactive"));
  }

  add(job: Job): void {
    const after = this.#waiting.findIndex((other) => due(other) > due(job));
    this.#waiting.splice(after < 0 ? this.#waiting.length : after, 0, job);
  }

  remove(job: Job): void {
    this.#waiting = this.#waiting.filter((other) => other !== job);
  }

  /** All of them, in their order; none waits any more. */
  takeAll(): Job[] {
    return this.#waiting.splice(0);
  }

  /** The job to start now beside those in hand, or null. */
  next(hand: readonly Queued[], now: number): Job | null {
    if (hand.length >= this.#limits.jobs || hand.some(({ alone }) => alone)) return null;
    const batches = hand.filter(({ priority }) => priority === "batch").length;
    const inHand = pixelsOf(hand);
    for (const job of this.#waiting) {
      const place = job.priority === "interactive" || batches < Math.max(1, this.#limits.jobs - 1);
      const room = hand.length === 0 || (!job.alone && inHand + job.pixels <= this.#limits.pixels);
      if (place && room) {
        this.remove(job);
        return job;
      }
      if (place && now - due(job) > patience) return null;
    }
    return null;
  }
}
