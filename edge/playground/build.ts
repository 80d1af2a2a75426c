/**
 * Builds the playground where what it is made of has changed since: `npm start`, the tests and a deployment ask for it,
 * and all but the first of them find it done.
 *
 *     node edge/playground/build.ts
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";

const root = import.meta.dirname;
const built = join(root, "dist");
/** Named in `public/.assetsignore`, so that it is not served. */
const stamp = join(built, ".built");
const sources = [
  root,
  resolve(root, "../../test/samples"),
  resolve(root, "../../shared"),
  resolve(root, "../../package-lock.json"),
];

/** A hash over everything that the build reads. */
async function fingerprint(): Promise<string> {
  const hash = createHash("sha256");
  for (const source of sources) {
    for (const file of await filesIn(source)) hash.update(relative(root, file)).update(await readFile(file));
  }
  return hash.digest("hex");
}

async function filesIn(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true, recursive: true }).catch(() => null);
  if (entries === null) return [path];
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !/[/\\](dist[^/\\]*|node_modules)[/\\]/.test(relative(path, file).replace(/^/, "/")))
    .sort();
}

/** Leaves the built playground in `dist`; answers whether there was anything to do. */
export async function buildPlayground(): Promise<boolean> {
  const wanted = await fingerprint();
  if (existsSync(stamp) && (await readFile(stamp, "utf8")) === wanted) return false;
  const { build } = await import("vite");
  // Beside the old one and then in its place: whoever serves it meanwhile sees either of the two.
  const made = join(root, `dist-${process.pid}`);
  try {
    await build({ configFile: join(root, "vite.config.ts"), build: { outDir: made } });
    await writeFile(join(made, ".built"), wanted);
    await rm(built, { recursive: true, force: true });
    await rename(made, built);
  } finally {
    await rm(made, { recursive: true, force: true });
  }
  return true;
}

/** Vitest calls this before its tests. */
export default async function setup(): Promise<void> {
  await buildPlayground();
}

if (import.meta.main) console.log((await buildPlayground()) ? "playground built" : "playground is up to date");
