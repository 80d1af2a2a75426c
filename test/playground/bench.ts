/**
 * `npm run bench:playground`: how soon the page is there in a browser that has never seen it, against `/healthz` in the
 * same browser, which is what opening anything at all costs. In turns, A B B A.
 *
 *   --rounds N   rounds (10)
 */
import { parseArgs } from "node:util";
import { freePort } from "../../infra/local/ports.ts";
import { difference, inTurns, load, median, p50, words } from "../bench/edge/figures.ts";
import { LocalService, temporaryState } from "../end-to-end/local-service.ts";
import { launch } from "./browser.ts";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "10" } } });
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));

await using state = await temporaryState();
const service = await LocalService.start(state.path, await freePort());
const browser = await launch();
try {
  const painted: number[] = [];
  let script = 0;
  /** In a context of its own: nothing is cached. */
  const open = async (path: string, ready: string) => {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(service.baseUrl + path);
    await page.locator(ready).first().waitFor();
    if (path === "/") {
      const seen = await page.evaluate(() => ({
        paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
        script: performance
          .getEntriesByType("resource")
          .filter((entry) => entry instanceof PerformanceResourceTiming && entry.initiatorType === "script")
          .reduce((sum, entry) => sum + (entry instanceof PerformanceResourceTiming ? entry.decodedBodySize : 0), 0),
      }));
      if (seen.paint !== undefined) painted.push(seen.paint);
      script = seen.script;
    }
    await context.close();
  };
  const a = () => open("/", ".sample");
  const b = () => open("/healthz", "pre");
  await inTurns(1, a, b);
  painted.length = 0;
  const rounds = await inTurns(Number(values.rounds), a, b);
  const { a: page, b: nothing } = p50(rounds);
  console.log(
    `playground      first paint p50 ${median(painted).toFixed(0)} ms; ready to be used p50 ${page.toFixed(0)} ms, /healthz ${nothing.toFixed(0)} ms, ` +
      `${words(difference(rounds), 0)} ms more (goal: 1 s); ${(script / 1000).toFixed(1)} kB of script (goal: 80); ${rounds.length} rounds A B B A, load ${load()}`,
  );
} finally {
  await browser.close();
  await service.interrupt();
}
