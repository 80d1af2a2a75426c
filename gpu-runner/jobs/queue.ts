/**
 * Whose turn it is in the inference process.
 *
 * Jobs of one account go in the order in which they came, those of different accounts in turns by the pixels that each
 * has had (start-time fair queueing): a burst makes its own account wait, and hardly anybody else. A batch's job takes its turn as if it had come `batchDelay` later: those that somebody waits for go first, and no job
 * waits for more than what came within that time after it. Batches leave one place free, so that what somebody waits for
 * finds one. What needs more memory than is left is overtaken by what needs less, but not for longer than `patience`.
 */

export interface Queued {
  /** Whose it is; null where the edge did not say. */
  readonly account: string | null;
  readonly pixels: number;
  readonly priority: "interactive" | "batch";
  /** Milliseconds. */
  readonly queuedAt: number;
  /** Has to be in hand alone: if the process ends again, it is known by which job. */
  readonly alone: boolean;
}

const batchDelay = 15_000;
const patience = 10_000;
/** Pixels for which the smallest image counts: the network sees a whole tile, however little of it is image. */
const leastCost = 768 * 768;

export interface Limits {
  /** Jobs in hand. */
  readonly jobs: number;
  /** Their pixels; a larger job is taken alone. */
  readonly pixels: number;
}

function due({ queuedAt, priority }: Queued): number {
  return queuedAt + (priority === "batch" ? batchDelay : 0);
}

/** `jobs`, by when they are due, with one more. */
function inserted<Job extends Queued>(jobs: readonly Job[], job: Job): Job[] {
  const after = jobs.findIndex((other) => due(other) > due(job));
  return jobs.toSpliced(after < 0 ? jobs.length : after, 0, job);
}

function pixelsOf(jobs: Iterable<Queued>): number {
  let sum = 0;
  for (const { pixels } of jobs) sum += pixels;
  return sum;
}

/** Whose job is next, of those of one priority. */
class Turns {
  /** Where the job that was started last began, in pixels that everybody has had. */
  #now = 0;
  /** Where the last job of an account ends, if it has had more than that. */
  readonly #ends = new Map<string | null, number>();

  /** The jobs in their turns, from jobs in the order in which they are due. */
  *order<Job extends Queued>(jobs: readonly Job[]): Generator<Job> {
    const accounts = [...Map.groupBy(jobs, ({ account }) => account)].map(([account, own]) => ({
      begin: this.#begin(account),
      own,
    }));
    while (accounts.length > 0) {
      const next = accounts.reduce((a, b) =>
        b.begin < a.begin || (b.begin === a.begin && precedes(b.own, a.own)) ? b : a,
      );
      const job = next.own.shift();
      if (job !== undefined) {
        next.begin += costOf(job);
        yield job;
      }
      if (next.own.length === 0) accounts.splice(accounts.indexOf(next), 1);
    }
  }

  started(job: Queued): void {
    this.#now = this.#begin(job.account);
    this.#ends.set(job.account, this.#now + costOf(job));
    for (const [account, end] of this.#ends) if (end <= this.#now) this.#ends.delete(account);
  }

  #begin(account: string | null): number {
    return Math.max(this.#now, this.#ends.get(account) ?? 0);
  }
}

function costOf({ pixels }: Queued): number {
  return Math.max(leastCost, pixels);
}

function precedes([a]: readonly Queued[], [b]: readonly Queued[]): boolean {
  return a !== undefined && b !== undefined && due(a) < due(b);
}

export class JobQueue<Job extends Queued> {
  readonly #limits: Limits;
  /** By when they are due. */
  #waiting: Job[] = [];
  readonly #turns = { interactive: new Turns(), batch: new Turns() };

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get length(): number {
    return this.#waiting.length;
  }

  get pixels(): number {
    return pixelsOf(this.#waiting);
  }

  /** Pixels of those waiting that this new job finds before it. */
  pixelsBefore(job: Queued): number {
    let sum = 0;
    for (const other of this.#order(inserted<Queued>(this.#waiting, job))) {
      if (other === job) break;
      sum += other.pixels;
    }
    return sum;
  }

  add(job: Job): void {
    this.#waiting = inserted(this.#waiting, job);
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
    for (const job of this.#order(this.#waiting)) {
      const place = job.priority === "interactive" || batches < Math.max(1, this.#limits.jobs - 1);
      const room = hand.length === 0 || (!job.alone && inHand + job.pixels <= this.#limits.pixels);
      if (place && room) {
        this.remove(job);
        this.#turns[job.priority].started(job);
        return job;
      }
      if (place && now - due(job) > patience) return null;
    }
    return null;
  }

  /** When they are due decides about priorities, and turns about whose job of that priority it is. */
  *#order<Other extends Queued>(jobs: readonly Other[]): Generator<Other> {
    const turns = {
      interactive: this.#turns.interactive.order(jobs.filter(({ priority }) => priority === "interactive")),
      batch: this.#turns.batch.order(jobs.filter(({ priority }) => priority === "batch")),
    };
    for (const { priority } of jobs) {
      const { value } = turns[priority].next();
      if (value !== undefined) yield value;
    }
  }
}
