/** What is happening to a picture right now. */
import type { Run } from "./run.ts";
import { bytes, percent, stageName } from "./words.ts";

export function Progress({ run, size }: { run: Run; size: number | null }) {
  const sending = run.phase === "sending";
  const steps = [
    {
      name: sending ? "Sending the image" : "Sent",
      detail: size === null ? "" : sending ? `${percent(run.sent)} of ${bytes(size)}` : bytes(size),
      progress: sending ? run.sent : null,
    },
    ...run.stages.map(({ stage, progress }) => ({
      name: stageName(stage),
      detail: progress === null ? "" : percent(progress),
      progress,
    })),
  ];
  return (
    <section class="card" aria-label="Progress">
      <h2>Analysing</h2>
      <ol class="steps" aria-live="polite" aria-relevant="additions">
        {steps.map(({ name, detail, progress }, index) => {
          const current = index === steps.length - 1;
          return (
            <li key={index} class={current ? "step is-current" : "step"}>
              <span class="step-name">{name}</span>
              {/* Numbers that change all the time are not read out. */}
              <span class="step-detail" aria-hidden="true">
                {detail}
              </span>
              {current && progress !== null && <progress max={1} value={progress} aria-label={name} />}
            </li>
          );
        })}
      </ol>
      <p class="quiet">You can leave this page: the analysis goes on, and your history leads back to it.</p>
    </section>
  );
}
