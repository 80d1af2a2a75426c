/** The playground in a real browser, against the stack of `npm start` with the real model. */
import { execFile } from "node:child_process";
import { copyFile, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import axe from "axe-core";
import type { Browser, BrowserContext, Page } from "playwright-core";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../infra/local/ports.ts";
import { LocalService, temporaryState } from "../end-to-end/local-service.ts";
import { chromiumPath, launch } from "./browser.ts";

const run = promisify(execFile);
const repository = resolve(import.meta.dirname, "../..");
const samples = join(repository, "test/samples");
const forged = join(samples, "balloon-forged.jpg");
/** A small machine with other work takes its time. */
const patience = 90_000;

if (chromiumPath === undefined)
  console.warn("skipped: there is no Chromium (apt install chromium, or OMNI_IML_CHROMIUM)");

describe.skipIf(chromiumPath === undefined)("the playground", () => {
  let state: Awaited<ReturnType<typeof temporaryState>>;
  let service: LocalService;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  /** What the browser complained about, violations of the content security policy among it. */
  const complaints: string[] = [];

  beforeAll(async () => {
    state = await temporaryState();
    service = await LocalService.start(state.path, await freePort());
    browser = await launch();
    context = await browser.newContext({ viewport: { width: 1280, height: 860 }, colorScheme: "light" });
    context.setDefaultTimeout(patience);
    page = await open(context);
  });
  afterAll(async () => {
    await browser?.close();
    await service?.interrupt();
    await state?.[Symbol.asyncDispose]();
  });

  async function open(where: BrowserContext, address = "/"): Promise<Page> {
    const opened = await where.newPage();
    opened.on("pageerror", (error) => complaints.push(error.message));
    opened.on("console", (message) => {
      // A refused request is logged by the browser whatever the page makes of it.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
        complaints.push(message.text());
    });
    await opened.goto(service.baseUrl + address);
    return opened;
  }

  const verdict = (on = page) => on.locator("#verdict");
  const range = (name: string) => page.locator(`input[name=${name}]`);

  /** Sets a slider as a hand does: its value changes, and it says so. */
  const slide = (name: string, value: number) =>
    range(name).evaluate((input: HTMLInputElement, to) => {
      input.valueAsNumber = to;
      input.dispatchEvent(new InputEvent("input", { bubbles: true }));
    }, value);

  /** The colour of the canvas at a place given as parts of its width and height. */
  const colourAt = (x: number, y: number) =>
    page.locator("canvas").evaluate(
      (canvas: HTMLCanvasElement, at) => {
        const pixel = canvas.getContext("2d")?.getImageData(at.x * canvas.width, at.y * canvas.height, 1, 1).data;
        return pixel ? [...pixel.slice(0, 3)].join(",") : "";
      },
      { x, y },
    );

  /** How much of the canvas has the colours of the map: more red than blue, pixel by pixel. */
  const redness = () =>
    page.locator("canvas").evaluate((canvas: HTMLCanvasElement) => {
      const pixels = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
      let sum = 0;
      for (let i = 0; i < pixels.length; i += 4) sum += Math.max(0, (pixels[i] ?? 0) - (pixels[i + 2] ?? 0));
      return sum;
    });

  /** The middle of a region as a part of the canvas. */
  const middleOf = (selector: string) =>
    page.evaluate((of) => {
      const outline = document.querySelector(of)?.getBoundingClientRect();
      const canvas = document.querySelector("canvas")?.getBoundingClientRect();
      if (!outline || !canvas) throw new Error(`there is no ${of}`);
      return {
        x: (outline.x + outline.width / 2 - canvas.x) / canvas.width,
        y: (outline.y + outline.height / 2 - canvas.y) / canvas.height,
      };
    }, selector);

  /** What axe finds that keeps people from using the page. It is evaluated, not loaded: the page's policy stays as it is. */
  async function seriousFindings(on: Page): Promise<string[]> {
    await on.evaluate(axe.source);
    return on.evaluate(async () => {
      const { axe: checker } = globalThis as unknown as {
        axe: { run(): Promise<{ violations: { id: string; impact: string | null; nodes: { html: string }[] }[] }> };
      };
      const { violations } = await checker.run();
      return violations
        .filter(({ impact }) => impact === "serious" || impact === "critical")
        .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`);
    });
  }

  async function themes(check: () => Promise<void>): Promise<void> {
    for (const colorScheme of ["dark", "light"] as const) {
      await page.emulateMedia({ colorScheme });
      await check();
    }
  }

  it("offers eight samples, two a domain, and loads less than 80 kB of script under a strict policy", async () => {
    const scripts = await page.evaluate(() =>
      Promise.all([...document.scripts].map(async ({ src }) => (await (await fetch(src)).arrayBuffer()).byteLength)),
    );
    expect(scripts.reduce((sum, size) => sum + size, 0)).toBeLessThan(80_000);
    const domains = await page.locator(".sample small").allTextContents();
    expect(domains).toHaveLength(8);
    for (const domain of new Set(domains)) expect(domains.filter((each) => each === domain)).toHaveLength(2);
    await themes(async () => expect(await seriousFindings(page)).toEqual([]));
    const policy = (await page.request.get(service.baseUrl)).headers()["content-security-policy"];
    expect(policy).toContain("script-src 'self';");
  });

  it("analyses a file, telling the stages as they happen, and says what it found", async () => {
    await page.setInputFiles("input[type=file]", forged);
    const steps = page.locator(".step-name");
    await steps.filter({ hasText: "frequency traces" }).waitFor();
    expect(await steps.first().textContent()).toBe("Sent");
    await verdict().waitFor();
    expect(await verdict().textContent()).toBe("Tampering found");
    expect(page.url()).toMatch(/#\/analyses\/an_/);
    expect(await page.locator(".files a").count()).toBeGreaterThanOrEqual(4);
    await themes(async () => expect(await seriousFindings(page)).toEqual([]));
  });

  it("changes the picture's pixels as strength and threshold move", async () => {
    const { x, y } = await middleOf("polygon[data-region=r1]");
    const marked = await colourAt(x, y);
    await slide("strength", 0);
    const bare = await colourAt(x, y);
    expect(bare).not.toBe(marked);
    await slide("strength", 1);
    expect(await colourAt(x, y)).not.toBe(marked);
    const usual = await redness();
    await slide("threshold", 0.99);
    expect(await redness()).toBeLessThan(usual);
    await slide("threshold", 0.05);
    expect(await redness()).toBeGreaterThan(usual);
    await slide("threshold", 0.5);
    expect(await redness()).toBe(usual);
    // Far from any region nothing is coloured, however strong.
    const plain = await colourAt(0.5, 0.95);
    await slide("strength", 0);
    expect(await colourAt(0.5, 0.95)).toBe(plain);
    await slide("strength", 0.65);
  });

  it("lights a region in the list from the picture, and in the picture from the list", async () => {
    const item = page.locator(".region[data-region=r1]");
    const outline = page.locator("polygon[data-region=r1]");
    expect(await item.getAttribute("class")).toBe("region");
    await outline.hover();
    expect(await item.getAttribute("class")).toBe("region is-active");
    await page.mouse.move(2, 2);
    expect(await item.getAttribute("class")).toBe("region");
    await item.hover();
    expect(await outline.getAttribute("class")).toContain("is-active");
    await page.mouse.move(2, 2);
  });

  it("shows image and overlay beside each other, and one behind the other", async () => {
    await page.getByText("Side by side").click();
    expect(await page.locator("polygon[data-region=r1]").count()).toBe(2);
    await page.getByText("Swipe").click();
    const { x, y } = await middleOf("polygon[data-region=r1]");
    const handle = page.getByRole("slider", { name: "Border" });
    await handle.focus();
    for (let i = 0; i < 5; i++) await page.keyboard.press("PageDown");
    const covered = await colourAt(x, y);
    for (let i = 0; i < 10; i++) await page.keyboard.press("PageUp");
    expect(await colourAt(x, y)).not.toBe(covered);
    await page.getByText("Overlay", { exact: true }).first().click();
  });

  it("zooms to the pixel and back by the keyboard", async () => {
    const stage = page.getByRole("group", { name: "Picture" });
    const scale = page.getByRole("button", { name: "Show at full resolution" });
    const fitted = await scale.textContent();
    await stage.focus();
    for (let i = 0; i < 6; i++) await page.keyboard.press("+");
    expect(Number.parseInt((await scale.textContent()) ?? "", 10)).toBeGreaterThan(
      4 * Number.parseInt(fitted ?? "", 10),
    );
    const before = await colourAt(0.5, 0.5);
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Shift+ArrowRight");
    expect(await colourAt(0.5, 0.5)).not.toBe(before);
    await page.keyboard.press("0");
    expect(await scale.textContent()).toBe(fitted);
  });

  it("shows the answer itself, and calls that make it again beside the picture and with a key", async () => {
    const code = async (form: string) => {
      await page.getByRole("tab", { name: form }).click();
      return (await page.locator("#snippet code").textContent()) ?? "";
    };
    const shown = JSON.parse(await code("JSON"));
    expect(shown).toMatchObject({ object: "analysis", verdict: "tampered" });
    const cwd = await mkdtemp(join(tmpdir(), "omni-iml-snippets-"));
    try {
      await copyFile(forged, join(cwd, "balloon-forged.jpg"));
      await symlink(join(repository, "node_modules"), join(cwd, "node_modules"));
      await writeFile(join(cwd, "package.json"), '{"type":"module"}');
      await writeFile(join(cwd, "main.ts"), await code("TypeScript"));
      const env = { ...process.env, OMNI_IML_KEY: service.apiKey };
      const curl = await run("bash", ["-c", await code("curl")], { cwd, env });
      expect(JSON.parse(curl.stdout)).toMatchObject({ status: "succeeded", verdict: "tampered", score: shown.score });
      const { stdout } = await run(process.execPath, ["main.ts"], { cwd, env });
      expect(stdout).toMatch(/^tampered \[/);
      // Status 1: tampering was found.
      const command = run("bash", ["-c", await code("Command line")], { cwd, env });
      await expect(command).rejects.toMatchObject({ code: 1, stdout: expect.stringContaining("balloon-forged.jpg") });
    } finally {
      await rm(cwd, { recursive: true });
    }
  });

  it("shares a link that another browser can open, and that dies when it is revoked", async () => {
    await page.getByRole("button", { name: "Share" }).click();
    const link = await page.getByRole("textbox", { name: "Link" }).inputValue();
    const other = await browser.newContext({ viewport: { width: 390, height: 844 } });
    other.setDefaultTimeout(patience);
    const guest = await open(other, new URL(link).hash.replace(/^/, "/"));
    await verdict(guest).waitFor();
    await guest.locator("polygon[data-region=r1]").first().waitFor();
    expect(await guest.locator("h1").textContent()).toBe("Shared analysis");
    expect(await guest.getByRole("button", { name: "Delete" }).count()).toBe(0);
    // Nothing is wider than a phone.
    expect(await guest.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
    await page.getByRole("button", { name: "Stop sharing" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await guest.reload();
    await guest.getByRole("alert").waitFor();
    expect(await guest.getByRole("alert").textContent()).toContain("revoked");
    await other.close();
  });

  it("remembers it in this browser, and opens it again from there", async () => {
    await page.getByRole("button", { name: "New image" }).click();
    const entry = page.locator(".history a").first();
    expect(await entry.textContent()).toContain("Tampered");
    await entry.click();
    await verdict().waitFor();
    await page.locator("canvas").waitFor();
    await page.getByRole("button", { name: "New image" }).click();
  });

  it("takes a dropped image, sends it again over a lost connection, and follows it over another", async () => {
    const lost = { sending: 0, following: 0 };
    await page.route("**/v1/analyses", (route) =>
      lost.sending++ === 0 ? route.abort("connectionreset") : route.continue(),
    );
    await page.route("**/events", (route) =>
      lost.following++ < 2 ? route.abort("internetdisconnected") : route.continue(),
    );
    const bytes = (await readFile(join(samples, "label-forged.jpg"))).toString("base64");
    await page.evaluate((base64) => {
      const file = new File([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], "dropped.jpg", {
        type: "image/jpeg",
      });
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(file);
      const drop = { dataTransfer, bubbles: true, cancelable: true };
      document.body.dispatchEvent(new DragEvent("dragover", drop));
      document.body.dispatchEvent(new DragEvent("drop", drop));
    }, bytes);
    await page.getByText("The connection is lost").waitFor();
    expect(await page.locator("h1").textContent()).toBe("dropped.jpg");
    await verdict().waitFor();
    expect(lost.sending).toBe(2);
    expect(await page.getByText("The connection is lost").count()).toBe(0);
    await page.unrouteAll();
    // One analysis, though it was sent twice.
    const { data } = await (await page.request.get(`${service.baseUrl}/v1/analyses`)).json();
    expect(data).toHaveLength(2);
  });

  it("draws where a copied region came from, and lights the two together", async () => {
    await page.getByRole("button", { name: "New image" }).click();
    // Grass and daisies of the lower right, once more at the upper left.
    const kitten = join(samples, "kitten-authentic.jpg");
    const piece = { left: 600, top: 430, width: 140, height: 110 };
    const copied = await sharp(kitten)
      .composite([{ input: await sharp(kitten).extract(piece).png().toBuffer(), left: 60, top: 60 }])
      .jpeg({ quality: 92 })
      .toBuffer();
    await page.setInputFiles("input[type=file]", { name: "copied.jpg", mimeType: "image/jpeg", buffer: copied });
    await verdict().waitFor();
    const trace = page.locator("[data-copy]");
    await trace.waitFor();
    const region = await trace.getAttribute("data-copy");
    // The picture is 900 wide and 609 high, and the canvas shows it whole and in the middle.
    const placed = async (selector: string) => {
      const [{ x, y }, shape] = [
        await middleOf(selector),
        await page.locator("canvas").evaluate((canvas) => ({ width: canvas.clientWidth, height: canvas.clientHeight })),
      ];
      const scale = Math.min(shape.width / 900, shape.height / 609);
      return {
        x: (x * shape.width - (shape.width - 900 * scale) / 2) / scale,
        y: (y * shape.height - (shape.height - 609 * scale) / 2) / scale,
      };
    };
    const source = await placed("[data-copy] polygon");
    expect(Math.hypot(source.x - 670, source.y - 485)).toBeLessThan(45);
    const end = await placed("[data-copy] circle");
    expect(Math.hypot(end.x - 130, end.y - 115)).toBeLessThan(45);
    const outline = page.locator(`polygon[data-region=${region}]`);
    await trace.locator("polygon").hover();
    expect(await outline.getAttribute("class")).toContain("is-active");
    await page.mouse.move(2, 2);
    expect(await trace.getAttribute("class")).toBe("trace");
    await outline.hover();
    expect(await trace.getAttribute("class")).toBe("trace is-active");
    expect(await page.getByRole("img", { name: `where ${region} was copied from` }).count()).toBe(1);
    await page.mouse.move(2, 2);
    await themes(async () => expect(await seriousFindings(page)).toEqual([]));
  });

  it("erases image and results when asked twice", async () => {
    const id = page.url().replace(/.*\//, "");
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("button", { name: "Erase", exact: true }).click();
    await page.locator(".samples").waitFor();
    expect((await page.request.get(`${service.baseUrl}/v1/analyses/${id}`)).status()).toBe(410);
    expect(await page.locator(".history li").count()).toBe(2);
  });

  it("says of a file that is no image what to do instead", async () => {
    await page.setInputFiles("input[type=file]", {
      name: "contract.pdf",
      mimeType: "application/pdf",
      buffer: Buffer.from("%PDF-1.7\n"),
    });
    const alert = page.getByRole("alert");
    await alert.waitFor();
    expect(await alert.textContent()).toContain("export the page as a PNG");
    await themes(async () => expect(await seriousFindings(page)).toEqual([]));
    await alert.getByRole("button", { name: "Choose another image" }).click();
    await page.locator(".samples").waitFor();
  });

  it("takes what is pasted, and tells how much of it has been sent", async () => {
    const paste = (bytes: number) =>
      page.evaluate((length) => {
        const clipboardData = new DataTransfer();
        const content = ["%PDF-1.7\n", new Uint8Array(length)];
        if (length > 0) clipboardData.items.add(new File(content, "pasted.pdf", { type: "application/pdf" }));
        document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
      }, bytes);
    await paste(0);
    await page.getByText("There is no image on the clipboard").waitFor();
    const network = await context.newCDPSession(page);
    const limit = { offline: false, latency: 0, downloadThroughput: -1 };
    await network.send("Network.enable");
    await network.send("Network.emulateNetworkConditions", { ...limit, uploadThroughput: 80_000 });
    await paste(300_000);
    await page.locator(".step-detail", { hasText: /^[1-9]\d\s%\sof/ }).waitFor();
    await network.send("Network.emulateNetworkConditions", { ...limit, uploadThroughput: -1 });
    await page.getByRole("alert").waitFor();
    expect(await page.locator("h1").textContent()).toBe("pasted.pdf");
    await page.getByRole("button", { name: "Choose another image" }).click();
    await page.locator(".samples").waitFor();
  });

  it("is used by the keyboard alone, from a sample to its regions", async () => {
    const focused = () =>
      page.evaluate(
        () => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? "",
      );
    const tabTo = async (words: string) => {
      for (let i = 0; i < 60; i++) {
        await page.keyboard.press("Tab");
        if ((await focused()).includes(words)) return;
      }
      throw new Error(`no Tab leads to “${words}”`);
    };
    await page.reload();
    await page.locator(".samples").waitFor();
    await tabTo("The total painted over");
    await page.keyboard.press("Enter");
    await verdict().waitFor();
    await tabTo("Picture");
    await tabTo("Look at region r1");
    expect(await page.locator(".region.is-active").count()).toBe(1);
    const scale = page.getByRole("button", { name: "Show at full resolution" });
    const fitted = await scale.textContent();
    await page.keyboard.press("Enter");
    await expect.poll(() => scale.textContent()).not.toBe(fitted);
  });

  it("has had nothing to complain about, its own policy included", () => {
    expect(complaints).toEqual([]);
  });
});
