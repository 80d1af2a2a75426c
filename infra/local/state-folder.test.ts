import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { newLocalAccount } from "./local-account.ts";
import { StartupError } from "./startup-error.ts";
import { StateFolder } from "./state-folder.ts";
import { signalGroup } from "./supervised-process.ts";

let path: string;
beforeEach(() => {
  path = join(mkdtempSync(join(tmpdir(), "state-")), "state");
});

describe("StateFolder", () => {
  it("keeps the same key over a restart, readable by its owner only", async () => {
    const first = await new StateFolder(path).secrets(newLocalAccount);
    const second = await new StateFolder(path).secrets(newLocalAccount);
    expect(second).toEqual(first);
    expect(first.api_key).toMatch(/^omni_live_/);
    expect(statSync(join(path, "secrets.json")).mode & 0o777).toBe(0o600);
  });

  it("says in one line that kept secrets are damaged", async () => {
    const state = new StateFolder(path);
    writeFileSync(join(path, "secrets.json"), '{"api_key":');
    await expect(state.secrets(newLocalAccount)).rejects.toThrow(StartupError);
    writeFileSync(join(path, "secrets.json"), "{}");
    await expect(state.secrets(newLocalAccount)).rejects.toThrow("secrets.json is damaged");
  });

  it("writes variables with quotes where no one else can read them", () => {
    const state = new StateFolder(path);
    state.writeEdgeEnvironment({ NAME: "a b=c" });
    expect(readFileSync(state.edgeEnvironment, "utf8")).toBe('NAME="a b=c"\n');
    expect(statSync(state.edgeEnvironment).mode & 0o777).toBe(0o600);
  });

  it("belongs to one start at a time", async () => {
    const other = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)", "infra/local/start.ts"]);
    try {
      const state = new StateFolder(path);
      writeFileSync(join(path, "running.json"), JSON.stringify({ starter: other.pid, groups: [] }));
      await expect(state.occupy()).rejects.toThrow(`in use by process ${other.pid}`);
      // Whoever was refused must not free the folder for a third.
      state.release();
      await expect(state.occupy()).rejects.toThrow(StartupError);
    } finally {
      other.kill("SIGKILL");
    }
  });

  it("ends what a killed start left running, and nothing else", async () => {
    const run = (argument: string) =>
      spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)", argument], { detached: true }).pid ?? 0;
    const state = new StateFolder(path);
    const left = run(join(path, "edge.env"));
    const stranger = run("something else under a number used again");
    try {
      writeFileSync(join(path, "running.json"), JSON.stringify({ starter: 2 ** 22 + 1, groups: [left, stranger] }));
      await state.occupy();
      await vi.waitFor(() => expect(signalGroup(left, 0)).toBe(false), 3_000);
      expect(signalGroup(stranger, 0)).toBe(true);
    } finally {
      signalGroup(stranger, "SIGKILL");
    }
  });
});
