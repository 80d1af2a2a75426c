import { expect, it } from "vitest";
import { TakenRequests } from "./replays.ts";

it("a signed request is taken once, unless it was given back, and forgotten when its timestamp is too old", () => {
  const taken = new TakenRequests();
  const now = 1_800_000_000_000;
  const forget = taken.take("1800000000", "{}", now);
  expect(forget).not.toBeNull();
  expect(taken.take("1800000000", "{}", now + 599_000)).toBeNull();
  expect(taken.take("1800000001", "{}", now)).not.toBeNull();
  expect(taken.take("1800000000", "{ }", now)).not.toBeNull();
  forget?.();
  expect(taken.take("1800000000", "{}", now)).not.toBeNull();
  taken.take("1800001000", "later", now + 601_000);
  expect(taken.size).toBe(1);
});
