/** What the environment may say, and that infra/README.md says the same. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type Configuration, readConfiguration, StartError } from "./configuration.ts";

const RUNNER_SECRET = "a secret of the edge and the runner";
const page = readFileSync(new URL("../infra/README.md", import.meta.url), "utf8");

/** Variables of the table with their defaults as written, "" where there is none. */
function documented(): Map<string, string> {
  const table = page.slice(page.indexOf("## Settings of a runner"), page.indexOf("## Upgrades"));
  return new Map(
    [...table.matchAll(/^\| (`[^|]*) \|([^|]*)\|/gm)].flatMap(([, names = "", defaults = ""]) => {
      const values = defaults.split(/[,;]/).map((value) => value.trim());
      return [...names.matchAll(/`(\w+)`/g)].map(([, name = ""], i) => [name, values[i] ?? ""] as const);
    }),
  );
}

describe("the page", () => {
  it("lists every variable, and no other", () => {
    const source = readFileSync(new URL("configuration.ts", import.meta.url), "utf8");
    const schema = source.slice(source.indexOf("z.object({"), source.indexOf("\n});"));
    const known = [...schema.matchAll(/^ {2}([A-Z0-9_]+):/gm)].map(([, name]) => name);
    expect([...documented().keys()].toSorted()).toEqual(known.toSorted());
  });

  it("gives the defaults", () => {
    const configuration: Configuration = readConfiguration({ RUNNER_SECRET });
    const values = new Map(Object.entries(configuration).map(([name, value]) => [name, String(value)]));
    const said = documented();
    const byMachine = new Set(["RUNNER_SECRET", "THREADS", "MODEL_DIR"]);
    for (const [name, value] of said)
      if (!byMachine.has(name)) expect([name, values.get(name) ?? ""]).toEqual([name, value.replace("none", "")]);
    expect(configuration.MODEL_DIR).toMatch(/\/model\/release$/);
    const { MAX_BATCH, SMALL_SESSIONS, IMAGE_THREADS } = readConfiguration({ RUNNER_SECRET, PROVIDER: "cuda" });
    expect(MAX_BATCH).toBe(8);
    expect(SMALL_SESSIONS).toBe(0);
    expect(readConfiguration({ RUNNER_SECRET, THREADS: "1" }).SMALL_SESSIONS).toBe(0);
    expect(readConfiguration({ RUNNER_SECRET, THREADS: "8" }).SMALL_SESSIONS).toBe(2);
    expect(IMAGE_THREADS).toBeGreaterThanOrEqual(3);
    expect(IMAGE_THREADS).toBeLessThanOrEqual(8);
  });
});

it("takes an empty variable for none", () => {
  expect(readConfiguration({ RUNNER_SECRET, PORT: "", INTERPRETER_URL: "" }).PORT).toBe(8790);
});

it.each([
  [{}, /^RUNNER_SECRET is needed/],
  [{ RUNNER_SECRET: "short" }, /^RUNNER_SECRET must have 16 characters/],
  [{ RUNNER_SECRET, PROVIDER: "tpu", PORT: "70000" }, /PORT .*; PROVIDER /],
  [{ RUNNER_SECRET, MAX_QUEUED_PIXELS: "many" }, /^MAX_QUEUED_PIXELS /],
  [{ RUNNER_SECRET, INTERPRETER_URL: "http://gpu-2:8000/v1" }, /are needed together/],
  [{ RUNNER_SECRET, INTERPRETER_URL: "file:///etc/passwd", INTERPRETER_MODEL: "m" }, /^INTERPRETER_URL /],
])("refuses %o in one line that names the variable", (environment, reason) => {
  expect(() => readConfiguration(environment)).toThrow(StartError);
  expect(() => readConfiguration(environment)).toThrow(reason);
});
