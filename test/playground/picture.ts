/**
 * Takes a picture of the playground with an image analysed, against a service that runs (`npm start`):
 *
 *   npm run picture -- --out docs/images/playground.png
 *   npm run picture -- --image test/samples/label-forged.jpg --width 390 --height 844 --dark --whole --out phone.png
 */
import { parseArgs } from "node:util";
import sharp from "sharp";
import { launch } from "./browser.ts";

const { values } = parseArgs({
  options: {
    url: { type: "string", default: "http://127.0.0.1:8787" },
    image: { type: "string", default: "test/samples/kitten-forged.jpg" },
    out: { type: "string" },
    width: { type: "string", default: "1440" },
    height: { type: "string", default: "900" },
    dark: { type: "boolean", default: false },
    /** All of the page, not what a screen shows of it. */
    whole: { type: "boolean", default: false },
  },
});
if (values.out === undefined) throw new Error("--out is needed");

const browser = await launch();
try {
  const page = await browser.newPage({
    viewport: { width: Number(values.width), height: Number(values.height) },
    colorScheme: values.dark ? "dark" : "light",
  });
  page.setDefaultTimeout(180_000);
  await page.goto(values.url);
  await page.setInputFiles("input[type=file]", values.image);
  await page.locator("#verdict").waitFor();
  await page.locator("canvas").waitFor();
  await page.waitForLoadState("networkidle");
  const taken = await page.screenshot({ fullPage: values.whole, animations: "disabled" });
  await sharp(taken).png({ palette: true }).toFile(values.out);
} finally {
  await browser.close();
}
