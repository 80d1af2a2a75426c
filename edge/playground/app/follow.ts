/** Follows an analysis to its end, over whatever happens to the connection meanwhile. */
import type { Analysis } from "@omni-iml/shared/analysis";
import { eventsOf, readAnalysis, TroubleError } from "./service.ts";

export interface Stage {
  stage: string;
  /** 0…1, where the runner tells. */
  progress: number | null;
}

export interface Follower {
  stage(stage: Stage): void;
  /** Whether news come in at the moment. */
  connected(now: boolean): void;
  ended(analysis: Analysis): void;
  failed(error: unknown): void;
}

const firstPause = 500;
const longestPause = 8_000;

/** Until `signal` aborts or the analysis has ended. */
export function follow(id: string, follower: Follower, signal: AbortSignal): void {
  let pause = firstPause;
  let stream: EventSource | null = null;
  let timer = 0;
  const stop = () => {
    stream?.close();
    clearTimeout(timer);
    removeEventListener("online", hurry);
  };
  const end = (analysis: Analysis) => {
    stop();
    if (!signal.aborted) follower.ended(analysis);
  };

  function listen(): void {
    stream = new EventSource(eventsOf(id));
    stream.onopen = () => {
      pause = firstPause;
      follower.connected(true);
    };
    stream.addEventListener("stage", ({ data }) => follower.stage(JSON.parse(data)));
    stream.addEventListener("status", ({ data }) => {
      const { status } = JSON.parse(data);
      if (status === "queued" || status === "running") follower.stage({ stage: status, progress: null });
    });
    stream.addEventListener("end", ({ data }) => end(JSON.parse(data)));
    // The browser would try again by itself, but not after every kind of failure, and it does not tell why.
    stream.onerror = () => {
      stream?.close();
      follower.connected(false);
      timer = setTimeout(check, pause);
      pause = Math.min(longestPause, 2 * pause);
    };
  }

  /** Asks before it listens again: the analysis may have ended or be gone. */
  async function check(): Promise<void> {
    try {
      const analysis = await readAnalysis({ kind: "own", id }, signal);
      if (analysis.ended_at !== null) end(analysis);
      else listen();
    } catch (error) {
      if (signal.aborted) return;
      const passing = !(error instanceof TroubleError) || error.trouble.retryable;
      if (!passing) {
        stop();
        follower.failed(error);
        return;
      }
      timer = setTimeout(check, pause);
      pause = Math.min(longestPause, 2 * pause);
    }
  }

  /** The network is back: no reason to sit out the pause. */
  function hurry(): void {
    if (stream?.readyState !== EventSource.CLOSED) return;
    clearTimeout(timer);
    pause = firstPause;
    check();
  }

  signal.addEventListener("abort", stop);
  addEventListener("online", hurry);
  listen();
}
