/** What can be said of the pages without a service: they lead where they say, and those made from code are current. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { pages, readPage, repository, snippetsOf } from "./pages.ts";
import { problemsPage } from "./problems.ts";

/** Pages for those who run or build it, whose snippets need more than a test has. */
const others = [
  "ARCHITECTURE.md",
  "infra/README.md",
  "infra/runbooks.md",
  "gpu-runner/telemetry/README.md",
  "model/README.md",
  "model/NOTES.md",
];

/** What `npm run` runs, in the root and in the client's package. */
const scripts = new Set(
  ["package.json", "sdk/package.json"].flatMap((path) => {
    const { scripts }: { scripts: Record<string, string> } = JSON.parse(readFileSync(join(repository, path), "utf8"));
    return Object.keys(scripts);
  }),
);

/** The anchors that GitHub gives to a page's headings, and those that stand in it. */
function anchorsOf(page: string): Set<string> {
  const text = readPage(page).replaceAll(/^```\w+$[\s\S]*?^```$/gm, "");
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
  return new Set([...headings, ...[...text.matchAll(/<a id="([^"]+)">/g)].map(([, id = ""]) => id)]);
}

describe("documentation", () => {
  it("docs/problems.md is what shared/problems.ts says (`npm run docs`)", async () => {
    await expect(problemsPage()).toMatchFileSnapshot("../../docs/problems.md");
  });

  it.each([...pages, ...others])("%s links to what there is", (page) => {
    const links = [...readPage(page).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)].map(([, target = ""]) => target);
    const dead = links.filter((link) => {
      const [path = "", anchor] = link.split("#");
      const target = path === "" ? page : join(dirname(page), path);
      if (!existsSync(join(repository, target))) return true;
      return anchor !== undefined && target.endsWith(".md") && !anchorsOf(target).has(anchor);
    });
    expect(dead).toEqual([]);
  });

  it.each([...pages, ...others])("%s names tests and commands that there are", (page) => {
    const text = readPage(page);
    const named = [...text.matchAll(/`([\w*./-]+\/[\w*.-]+\.test\.ts)`/g)].map(([, path = ""]) => path);
    expect(named.filter((path) => globSync(path, { cwd: repository }).length === 0)).toEqual([]);
    const run = [...text.matchAll(/\bnpm run ([\w:-]+)/g)].map(([, script = ""]) => script);
    expect(run.filter((script) => !scripts.has(script))).toEqual([]);
    const administered = [...text.matchAll(/\bomni-iml admin ([a-z-]+(?: [a-z]+)?)/g)].map(([command]) => command);
    const usage = readPage("sdk/command/admin.ts");
    expect(administered.filter((command) => !usage.includes(command))).toEqual([]);
  });

  it("points from each promise of the README to what holds it", () => {
    const [, table = ""] = readPage("README.md").split("\n## Promises\n");
    const rows = [...table.matchAll(/^\| (?!promise|---)(.+?) \| (.+) \|$/gm)];
    expect(rows.length).toBeGreaterThan(10);
    const held = /`(npm run test:\w+|[\w./-]+\.test\.ts)`/;
    expect(rows.filter(([, , holder = ""]) => !held.test(holder)).map(([, promise]) => promise)).toEqual([]);
  });

  it("is listed in docs/README.md", () => {
    const listed = readPage("docs/README.md");
    for (const page of pages.filter((name) => name.startsWith("docs/") && name !== "docs/README.md")) {
      expect(listed).toContain(`(${page.slice("docs/".length)})`);
    }
  });

  it("shows JSON that is JSON", () => {
    for (const { language, code, place } of pages.flatMap(snippetsOf)) {
      if (language === "json") expect(() => JSON.parse(code), place).not.toThrow();
    }
  });
});
