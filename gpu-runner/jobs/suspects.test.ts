import { expect, it } from "vitest";
import { Suspects } from "./suspects.ts";

it("an input is suspected after one crash, condemned after two, and free again once it was analysed", () => {
  const suspects = new Suspects();
  const state = () => [suspects.suspected("a"), suspects.condemned("a")];
  expect(state()).toEqual([false, false]);
  suspects.crashed("a");
  expect(state()).toEqual([true, false]);
  suspects.cleared("a");
  expect(state()).toEqual([false, false]);
  suspects.crashed("a");
  suspects.crashed("a");
  expect(state()).toEqual([true, true]);
  expect(suspects.suspected("b")).toBe(false);
});

it("crashes are forgotten after a day, and the oldest when there are too many", () => {
  let now = 0;
  const suspects = new Suspects(() => now);
  suspects.crashed("old");
  now = 25 * 3_600_000;
  expect(suspects.suspected("old")).toBe(false);
  suspects.crashed("first");
  for (let i = 0; i < 10_000; i++) suspects.crashed(`file ${i}`);
  expect(suspects.suspected("first")).toBe(false);
  expect(suspects.suspected("file 9999")).toBe(true);
});
