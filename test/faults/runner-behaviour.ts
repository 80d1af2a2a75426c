/** How the stand-in runner treats a `share` (0 to 1) of the jobs that it takes on. */
export interface RunnerBehaviour {
  kind:
    | "well"
    /** The result comes in time, but late. */
    | "slow"
    /** The answer breaks off within its last line, everything having been stored. */
    | "half"
    /** Bytes that are no line of the contract. */
    | "garbage"
    /** JSON that is no line of the contract. */
    | "nonsense"
    /** A first line, then nothing more. */
    | "silent"
    /** 500 with a page. */
    | "fails";
  share: number;
}
