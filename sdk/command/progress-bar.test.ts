import { expect, it } from "vitest";
import { ProgressBar } from "./progress-bar.ts";

function drawn(terminal: { isTTY: boolean; columns?: number }): string[] {
  const lines: string[] = [];
  const bar = new ProgressBar(4, { ...terminal, write: (text) => lines.push(text.replace("\r\x1b[K", "")) });
  bar.show("sending  a.jpg");
  bar.step("a.jpg");
  bar.clear();
  return lines;
}

it("draws over its own line, and takes it away", () => {
  const empty = "░".repeat(24);
  const quarter = "█".repeat(6) + "░".repeat(18);
  expect(drawn({ isTTY: true, columns: 120 })).toEqual([`${empty} 0/4  sending  a.jpg`, `${quarter} 1/4  a.jpg`, ""]);
  // Some terminals say that they have no columns.
  expect(drawn({ isTTY: true, columns: 0 })[0]).toContain("a.jpg");
});

it("never wraps a line", () => {
  expect(drawn({ isTTY: true, columns: 30 }).map((line) => line.length)).toEqual([29, 29, 0]);
});

it("writes nothing where nobody looks", () => {
  expect(drawn({ isTTY: false })).toEqual([]);
});
