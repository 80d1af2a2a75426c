import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { settings } from "./environment.ts";

it("names every variable that is missing or wrong, in one message", () => {
  const incomplete = { ...env, RUNNER_SECRET: "", LEASE_MS: "soon" };
  expect(() => settings(incomplete)).toThrow(/wrangler\.toml.*RUNNER_SECRET.*LEASE_MS/);
});

it("reads several runners and turns seconds into milliseconds", () => {
  const { RUNNER_URLS, ATTEMPT_S } = settings({ ...env, RUNNER_URLS: "http://a:1/, http://b:2" });
  expect(RUNNER_URLS).toEqual(["http://a:1", "http://b:2"]);
  expect(ATTEMPT_S).toBe(600_000);
});
