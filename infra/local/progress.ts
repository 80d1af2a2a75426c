/** What the person at the terminal sees while the stack starts: one line a step, and that it still goes on. */

const heartbeat = 5_000;

/** Runs `work` and prints how long it took; on a terminal the line counts the seconds in place. */
export async function step<T>(
  title: string,
  work: () => Promise<T>,
  out: NodeJS.WriteStream = process.stdout,
): Promise<T> {
  const start = performance.now();
  const seconds = () => ((performance.now() - start) / 1000).toFixed(1);
  const inPlace = out.isTTY === true;
  if (inPlace) out.write(`… ${title}`);
  const timer = setInterval(
    () => out.write(inPlace ? `\r… ${title}  ${seconds()} s` : `… ${title}  ${seconds()} s\n`),
    inPlace ? 200 : heartbeat,
  );
  const close = (mark: string) => {
    clearInterval(timer);
    out.write(`${inPlace ? "\r" : ""}${mark} ${title}  ${seconds()} s\n`);
  };
  try {
    const result = await work();
    close("✓");
    return result;
  } catch (error) {
    close("✗");
    throw error;
  }
}
