/** A real browser: Debian's Chromium, or another one that is installed, without a window. */
import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const usual = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** Where Chromium is: OMNI_IML_CHROMIUM, or the first of the usual places; `undefined` where there is none. */
export const chromiumPath = process.env["OMNI_IML_CHROMIUM"] || usual.find((path) => existsSync(path));

export function launch(): Promise<Browser> {
  if (chromiumPath === undefined) throw new Error("there is no Chromium; set OMNI_IML_CHROMIUM");
  // Containers run as root, whom Chromium's sandbox refuses. Nothing but our own page is loaded.
  return chromium.launch({ executablePath: chromiumPath, args: ["--no-sandbox"] });
}
