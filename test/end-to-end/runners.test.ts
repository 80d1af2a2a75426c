/** Three runners behind one edge: `npm start -- --runners 3`. How the choice falls is told beside edge/runners. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { freePort } from "../../infra/local/ports.ts";
import { jobsEndedBy, LocalService, temporaryState } from "./local-service.ts";
import { photograph } from "./pictures.ts";

let service: LocalService;
let state: Awaited<ReturnType<typeof temporaryState>>;

beforeAll(async () => {
  state = await temporaryState();
  service = await LocalService.start(state.path, await freePort(), {}, ["--runners", "3"]);
});
afterAll(async () => {
  await service.interrupt();
  await state[Symbol.asyncDispose]();
});

async function sendAtOnce(count: number): Promise<string[]> {
  const images = await Promise.all(Array.from({ length: count }, () => photograph(320, 240)));
  const sent = await Promise.all(images.map((image) => service.client.analyses.create({ image, wait: 0 })));
  return sent.map(({ id }) => id);
}

async function ends(ids: readonly string[]): Promise<Set<string>> {
  const all = await Promise.all(ids.map((id) => service.client.analyses.wait(id, { timeout: 100 })));
  return new Set(all.map(({ status }) => status));
}

const runners = () =>
  [...service.processes()].filter(([, command]) => command.includes("gpu-runner/main.ts")).map(([pid]) => pid);

it("every analysis succeeds and all three work, though one is killed in the middle and slow to come back", async () => {
  expect(service.runnerUrls).toHaveLength(3);
  const victim = runners()[0];
  if (victim === undefined) throw new Error("there is no runner");
  const ids = await sendAtOnce(12);
  process.kill(victim, "SIGKILL");
  expect(await ends(ids)).toEqual(new Set(["succeeded"]));
  // Its successor has counted nothing yet; that it is found again is the pool's doing.
  const until = Date.now() + 90_000;
  let counts: number[] = [];
  while (Date.now() < until && (counts.length === 0 || Math.min(...counts) === 0)) {
    expect(await ends(await sendAtOnce(4))).toEqual(new Set(["succeeded"]));
    counts = await Promise.all(service.runnerUrls.map((url) => jobsEndedBy(url).catch(() => 0)));
  }
  expect(runners()).toHaveLength(3);
  expect(runners()).not.toContain(victim);
  for (const count of counts) expect(count).toBeGreaterThan(0);
});
