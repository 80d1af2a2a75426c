import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SupervisedProcess } from "./supervised-process.ts";

let folder: string;
let lines: string[];
let children: SupervisedProcess[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "supervised-"));
  lines = [];
  children = [];
});
afterEach(() => Promise.all(children.map((child) => child.stop(0))));

function run(script: string, once = false): SupervisedProcess {
  const file = join(folder, "script.mjs");
  writeFileSync(file, script);
  const child = new SupervisedProcess({
    name: "child",
    args: [file],
    cwd: folder,
    env: process.env,
    logFile: join(folder, "child.log"),
    once,
    report: (line) => lines.push(line),
    started: () => undefined,
  });
  children.push(child);
  return child;
}

/** Members of a process group. A killed one that init has not reaped yet (state Z) does not count. */
function running(group: number): string[] {
  const table = execFileSync("ps", ["-eo", "pgid=,stat=,args="], { encoding: "utf8" });
  return table.split("\n").filter((line) => line.trim().startsWith(`${group} `) && !/^ *\d+ +Z/.test(line));
}

const log = () => readFileSync(join(folder, "child.log"), "utf8");

describe("SupervisedProcess", () => {
  it("logs what the child prints and tells how it ended", async () => {
    const child = run("console.log('out'); console.error('err'); process.exit(3)", true);
    expect(await child.end).toBe("exit 3");
    expect(await child.lastLines()).toBe("out\nerr");
    expect(lines).toEqual([]);
  });

  it("reports a child that dies and starts it again", async () => {
    const child = run("console.log('born'); setInterval(() => {}, 1000)");
    await vi.waitFor(() => expect(log()).toBe("born\n"), 5_000);
    if (child.pid === undefined) throw new Error("the child runs");
    process.kill(child.pid, "SIGKILL");
    await vi.waitFor(() => expect(log()).toBe("born\nborn\n"), 5_000);
    expect(child.deaths).toBe(1);
    expect(lines).toEqual([expect.stringContaining("child ended (SIGKILL), starting it again in 0.5 s")]);
  });

  it("waits longer after each death", async () => {
    run("process.exit(1)");
    await vi.waitFor(() => expect(lines).toHaveLength(3), 10_000);
    expect(lines.map((line) => /in ([\d.]+) s/.exec(line)?.[1])).toEqual(["0.5", "1", "2"]);
  });

  it("ends the child's own children too, even those that ignore the request", async () => {
    const child = run(`
      import { spawn } from "node:child_process";
      process.on("SIGTERM", () => {});
      spawn(process.execPath, ["-e", "process.on('SIGTERM', () => {}); console.log('grandchild'); setInterval(() => {}, 1000)"], { stdio: "inherit" });
    `);
    await vi.waitFor(() => expect(log()).toBe("grandchild\n"), 5_000);
    const { pid } = child;
    if (pid === undefined) throw new Error("the child runs");
    await child.stop(100);
    expect(running(pid)).toEqual([]);
    expect(lines).toEqual([]);
  });

  it("does not start a child again that dies while it is being stopped", async () => {
    const child = run("process.exit(1)");
    await vi.waitFor(() => expect(lines).toHaveLength(1), 5_000);
    await child.stop(100);
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(child.pid).toBeUndefined();
  });
});
