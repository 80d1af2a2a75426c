/**
 * Which of several runners gets the next job: the one that should be through with it first, of those that are well.
 *
 * Everything a pool knows comes from the calls themselves and from the probes it asks for. It keeps no clock and sends
 * nothing; see pool-object.ts.
 */

/** A job on its way to a runner. */
export interface PoolJob {
  /** Id of the analysis. */
  id: string;
  release: string;
  /** Of the input: all that is known of a job's size before a runner has read it. */
  bytes: number;
}

/** How a call ended, as far as it says something about the runner. */
export type CallEnd =
  /** The runner answered to the end: with a result, or with a problem of the job's. */
  | { kind: "answered"; milliseconds: number | null }
  /** The edge lost interest: canceled, or the claim was lost. */
  | { kind: "withdrawn" }
  /** 429: as much in hand as it takes. `retryAfter` in milliseconds. */
  | { kind: "full"; retryAfter: number }
  /** 503: loading, draining. */
  | { kind: "away"; retryAfter: number }
  /** It serves another release. */
  | { kind: "other_release" }
  /** No connection, no answer, silence, or an answer that broke off. */
  | { kind: "broken" };

export type Choice =
  | { kind: "runner"; url: string }
  /** `retryAfter`: when one may be free or well again. */
  | { kind: "none"; why: "full" | "unavailable" | "other_release"; retryAfter: number };

interface Member {
  readonly url: string;
  /** By analysis: one that is dispatched anew, its object having been lost, replaces what it left here. */
  readonly jobs: Map<string, { cost: number; until: number }>;
  /** Milliseconds a unit of cost took lately, and when that was last measured. */
  pace: { milliseconds: number; at: number } | null;
  fullUntil: number;
  readonly refuses: Map<string, number>;
  /** While it is set, no job goes there; `probeAt` is when its health is asked for. */
  circuit: { probeAt: number; probing: boolean } | null;
  /** Openings since the last answered call; each doubles the pause before the next probe. */
  trips: number;
}

/** Weight of the newest measurement. */
const freshness = 0.3;
/** A pace as old as this says nothing any more: a runner that was slow once must be tried again. */
const paceLifetime = 60_000;
const firstPause = 1_000;
const longestPause = 30_000;
/** For so long a runner is not asked again for a release that it has refused: a rollout goes on by the minute. */
const refusalLifetime = 5_000;
/** A job whose end was never reported (its object was lost) counts no longer than this. */
const jobLifetime = 600_000;

/** What a job costs: one for being a job, and one a megabyte. */
const costOf = (bytes: number) => 1 + bytes / 1e6;

export class Pool {
  readonly #members: Member[];
  /** Between 0 (inclusive) and 1, to choose among equals. */
  readonly #random: () => number;

  constructor(urls: readonly string[], random: () => number = Math.random) {
    this.#random = random;
    this.#members = urls.map((url) => ({
      url,
      jobs: new Map(),
      pace: null,
      fullUntil: 0,
      refuses: new Map(),
      circuit: null,
      trips: 0,
    }));
  }

  /** Chooses a runner that is not one of `tried`, and counts the job as its. */
  choose(job: PoolJob, tried: readonly string[], now: number): Choice {
    for (const { jobs } of this.#members) {
      jobs.delete(job.id);
      for (const [id, { until }] of jobs) if (until <= now) jobs.delete(id);
    }
    const able = this.#members.filter(
      (member) => !tried.includes(member.url) && this.#obstacle(member, job.release, now) === null,
    );
    const cost = costOf(job.bytes);
    const unknown = this.#bestPace(now);
    const waits = able.map((member) => {
      const ahead = [...member.jobs.values()].reduce((sum, other) => sum + other.cost, 0);
      return { member, wait: (ahead + cost) * (this.#pace(member, now) ?? unknown) };
    });
    const least = Math.min(...waits.map(({ wait }) => wait));
    const best = waits.filter(({ wait }) => wait <= least);
    const chosen = best[Math.floor(this.#random() * best.length)]?.member;
    if (chosen === undefined) return this.#none(job.release, now);
    chosen.jobs.set(job.id, { cost, until: now + jobLifetime });
    return { kind: "runner", url: chosen.url };
  }

  /** The call of `job` to `url` is over. */
  ended(job: PoolJob, url: string, end: CallEnd, now: number): void {
    const member = this.#members.find((one) => one.url === url);
    if (member === undefined) return;
    member.jobs.delete(job.id);
    switch (end.kind) {
      case "answered":
        member.trips = 0;
        // What it had in hand has become less.
        member.fullUntil = 0;
        if (end.milliseconds !== null) this.#measure(member, end.milliseconds / costOf(job.bytes), now);
        break;
      case "withdrawn":
        member.fullUntil = 0;
        break;
      case "full":
        member.fullUntil = now + end.retryAfter;
        break;
      case "away":
        member.circuit ??= { probeAt: now + end.retryAfter, probing: false };
        break;
      case "other_release":
        member.refuses.set(job.release, now + refusalLifetime);
        break;
      case "broken":
        this.#open(member, now);
    }
  }

  /** The runners whose health is due to be asked for; each is handed out once. */
  takeProbes(now: number): string[] {
    const due = this.#members.filter(({ circuit }) => circuit !== null && !circuit.probing && circuit.probeAt <= now);
    for (const { circuit } of due) if (circuit) circuit.probing = true;
    return due.map(({ url }) => url);
  }

  /** What a probe has found. */
  probed(url: string, well: boolean, now: number): void {
    const member = this.#members.find((one) => one.url === url);
    if (!member?.circuit) return;
    member.circuit = null;
    if (!well) this.#open(member, now);
  }

  /** When the next probe is due; null where nobody's health is in doubt. */
  nextProbe(): number | null {
    const times = this.#members.flatMap(({ circuit }) => (circuit === null || circuit.probing ? [] : circuit.probeAt));
    return times.length === 0 ? null : Math.min(...times);
  }

  /** Whether no job goes to `url` because its health is in doubt. */
  isOpen(url: string): boolean {
    return this.#members.some((member) => member.url === url && member.circuit !== null);
  }

  #open(member: Member, now: number): void {
    if (member.circuit !== null) return;
    const pause = Math.min(firstPause * 2 ** member.trips, longestPause);
    member.trips++;
    member.circuit = { probeAt: now + pause, probing: false };
    // Whatever it had in hand is lost, and how fast it will be is another matter.
    member.jobs.clear();
    member.pace = null;
    member.fullUntil = 0;
  }

  #measure(member: Member, milliseconds: number, now: number): void {
    const known = this.#pace(member, now);
    member.pace = { milliseconds: known === null ? milliseconds : known + freshness * (milliseconds - known), at: now };
  }

  #pace(member: Member, now: number): number | null {
    return member.pace === null || member.pace.at + paceLifetime < now ? null : member.pace.milliseconds;
  }

  /** Of one that is not known the best is expected: so it is tried, and then it is known. */
  #bestPace(now: number): number {
    const known = this.#members.flatMap((member) => this.#pace(member, now) ?? []);
    return known.length === 0 ? 1 : Math.min(...known);
  }

  /** Why no job of this release goes to the runner now, and until when. */
  #obstacle(
    member: Member,
    release: string,
    now: number,
  ): { why: "full" | "unavailable" | "other_release"; until: number } | null {
    if (member.circuit !== null) return { why: "unavailable", until: member.circuit.probeAt };
    const refusal = member.refuses.get(release) ?? 0;
    if (refusal > now) return { why: "other_release", until: refusal };
    return member.fullUntil > now ? { why: "full", until: member.fullUntil } : null;
  }

  #none(release: string, now: number): Choice {
    const obstacles = this.#members.flatMap((member) => this.#obstacle(member, release, now) ?? []);
    const soonest = Math.min(...obstacles.map(({ until }) => until));
    const whys = new Set(obstacles.map(({ why }) => why));
    const why = whys.has("full") ? "full" : whys.has("unavailable") ? "unavailable" : "other_release";
    // None is in the way where all of those that could have taken it were tried just now.
    return { kind: "none", why, retryAfter: Number.isFinite(soonest) ? Math.max(soonest - now, 100) : firstPause };
  }
}
