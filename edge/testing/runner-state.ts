/** How one of several runners behaves in a test. */
export interface RunnerState {
  /** Otherwise its port is closed. */
  up: boolean;
  /** How long a job takes. */
  milliseconds: number;
  /** The only release it serves; `null`: any. */
  release: string | null;
  /** Jobs at a time; further ones get 429. */
  slots: number;
}
