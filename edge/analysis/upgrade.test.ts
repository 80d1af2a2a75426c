/** A new release of the model comes while work is under way: no answer of the old one, and nothing lost. */
import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { analysisOptions } from "@omni-iml/shared/analysis";
import { newId } from "@omni-iml/shared/ids";
import { afterEach, describe, expect, it } from "vitest";
import { sha256Hex } from "../storage/digest.ts";
import {
  analysisObject,
  ended,
  eventually,
  keyOf,
  newAccount,
  newImage,
  problem,
  resource,
  resultOf,
  runnerFor,
  send,
  storedKeys,
} from "../testing/client.ts";
import { release } from "./release.ts";

const first = release.release;
/** What a deployment with another manifest is, as far as a record can tell. */
const deploy = (name: string) => {
  release.release = name;
};
afterEach(() => deploy(first));

describe("a new release", () => {
  it("never answers with the old one's result, whoever asks while it comes", async () => {
    const account = await newAccount({ inFlight: 1_000 });
    const images = Array.from({ length: 4 }, () => newImage());
    const answers: { release: string | undefined; cached: boolean; sentUnder: string }[] = [];
    const load = Array.from({ length: 4 }, async (_, n) => {
      for (let turn = 0; turn < 7; turn++) {
        const sentUnder = release.release;
        const { model, cached, status } = await resource(send(account, images[(n + turn) % 4] ?? newImage()));
        expect(status).toBe("succeeded");
        answers.push({ release: model?.release, cached, sentUnder });
        if (answers.length === 10) deploy("second");
      }
    });
    await Promise.all(load);
    const later = answers.filter(({ sentUnder }) => sentUnder === "second");
    expect(new Set(later.map((answer) => answer.release))).toEqual(new Set(["second"]));
    // Both from the cache and not.
    expect(new Set(later.map(({ cached }) => cached))).toEqual(new Set([true, false]));
    deploy(first);
    // Set back, it has its own answers again.
    for (const image of images) {
      expect(await resource(send(account, image))).toMatchObject({ cached: true, model: { release: first } });
    }
  });

  it("analyses what was accepted before and had to wait, under its own key; the old runner's refusals are no failures", async () => {
    const account = await newAccount();
    const image = newImage();
    const other = { kind: "refuse", problem: problem("release_mismatch"), retryAfter: 0 } as const;
    const runner = await runnerFor(image, ...Array.from({ length: 4 }, () => other), { kind: "succeed" });
    const waiting = await resource(send(account, image, { prefer: "wait=0" }));
    const follower = await resource(send(account, image, { prefer: "wait=0" }));
    await eventually(async () => expect((await runner.calls()).length).toBeGreaterThan(1));
    deploy("second");
    for (const { id } of [waiting, follower]) {
      expect(await ended(account, id)).toMatchObject({ status: "succeeded", model: { release: "second" } });
    }
    const calls = await runner.calls();
    // Four refusals, with three failures allowed; one run for both; and first the old release was asked for.
    expect(calls).toHaveLength(5);
    expect([calls.at(0)?.release, calls.at(-1)?.release]).toEqual([first, "second"]);
    expect(await resource(send(account, image))).toMatchObject({ cached: true, model: { release: "second" } });
  });

  it("takes no result from an attempt that the old one had begun, unless it is the old one's own", async () => {
    const account = await newAccount();
    const image = newImage();
    const runner = await runnerFor(image, { kind: "hold" }, { kind: "succeed" });
    const early = await resource(send(account, image, { prefer: "wait=0" }));
    await eventually(async () => expect(await runner.calls()).toHaveLength(1));
    deploy("second");
    const late = await resource(send(account, image));
    expect(late).toMatchObject({ cached: false, model: { release: "second" } });
    await runner.open();
    expect(await ended(account, early.id)).toMatchObject({ status: "succeeded", model: { release: first } });
    expect(await resource(send(account, image))).toMatchObject({ cached: true, model: { release: "second" } });
  });
});

/** The tables of an analysis as the first version made them. */
const firstTables = `
CREATE TABLE record (
  id TEXT PRIMARY KEY, account TEXT NOT NULL, status TEXT NOT NULL, erased TEXT,
  created_at INTEGER NOT NULL, started_at INTEGER, ended_at INTEGER, expires_at INTEGER, deadline INTEGER NOT NULL,
  cached INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0,
  busy INTEGER NOT NULL DEFAULT 0, claim INTEGER NOT NULL DEFAULT 0, claimed INTEGER NOT NULL DEFAULT 0,
  accepted INTEGER NOT NULL DEFAULT 0, not_before INTEGER NOT NULL DEFAULT 0, stage TEXT,
  renewed_at INTEGER NOT NULL DEFAULT 0, cache_key TEXT NOT NULL, release TEXT NOT NULL, options TEXT NOT NULL,
  metadata TEXT NOT NULL, input TEXT NOT NULL, verdict TEXT, score REAL, finding TEXT,
  files TEXT NOT NULL DEFAULT '{}', file_prefix TEXT, error TEXT, reason TEXT,
  sequence INTEGER NOT NULL DEFAULT 0, indexed INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE events (sequence INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, type TEXT NOT NULL, data TEXT NOT NULL);
CREATE TABLE timers (kind TEXT PRIMARY KEY, due INTEGER NOT NULL, tries INTEGER NOT NULL);`;

it("goes on with a record that the first version of the service left", async () => {
  const account = await newAccount();
  const image = newImage();
  const options = JSON.stringify(analysisOptions.parse({}));
  const input = { sha256: await sha256Hex(image), bytes: image.length, content_type: "image/png", filename: null };
  const id = newId("analysis");
  await runInDurableObject(analysisObject(id), (_, { storage }) => {
    storage.sql.exec(firstTables);
    storage.sql.exec(
      `INSERT INTO record (id, account, status, created_at, deadline, cache_key, release, options, metadata, input)
       VALUES (?, ?, 'queued', ?, ?, 'a key of then', 'before', ?, '{}', ?)`,
      id,
      account.id,
      Date.now(),
      Date.now() + 60_000,
      options,
      JSON.stringify(input),
    );
  });
  // The object as it starts under this version.
  await abortAllDurableObjects();
  await analysisObject(id).dispatch();
  expect(await ended(account, id)).toMatchObject({ status: "succeeded", model: { release: first }, feedback: null });
});

/** The tables of a result as they were when it was always given to whoever came later. */
const resultTables = `
CREATE TABLE result (
  id TEXT PRIMARY KEY, serial INTEGER NOT NULL DEFAULT 0, leader TEXT, leader_until INTEGER NOT NULL DEFAULT 0,
  put_until INTEGER NOT NULL DEFAULT 0, prefix TEXT, computed_by TEXT, finding TEXT, files TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE refs (analysis TEXT PRIMARY KEY);
CREATE TABLE followers (analysis TEXT PRIMARY KEY);`;

it("goes on with a result that an earlier version left, and its files go with the last reference", async () => {
  const account = await newAccount();
  const image = newImage();
  const { id, files } = await resource(send(account, image));
  const key = keyOf(files.mask?.url);
  await env.STORAGE.put(key, "a mask");
  await runInDurableObject(await resultOf(id), (_, { storage }) => {
    const row = storage.sql.exec<Record<string, SqlStorageValue>>("SELECT * FROM result").one();
    storage.sql.exec("DROP TABLE result; DROP TABLE refs; DROP TABLE followers;");
    storage.sql.exec(resultTables);
    const { id: result = null, serial = 0, prefix = null, finding = null, files: stored = null } = row;
    storage.sql.exec(
      "INSERT INTO result (id, serial, prefix, computed_by, finding, files) VALUES (?, ?, ?, ?, ?, ?)",
      ...[result, serial, prefix, id, finding, stored],
    );
    storage.sql.exec("INSERT INTO refs (analysis) VALUES (?)", id);
  });
  await abortAllDurableObjects();
  const second = await resource(send(account, image));
  expect(second).toMatchObject({ status: "succeeded", cached: true });
  await analysisObject(second.id).erase(account.id);
  expect(await storedKeys(key)).toEqual([key]);
  await analysisObject(id).erase(account.id);
  expect(await storedKeys(key)).toEqual([]);
});
