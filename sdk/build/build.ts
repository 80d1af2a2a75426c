/** `npm run build -w sdk`: the package as it is published, in `sdk/dist`, ready for `npm pack ./sdk/dist`. */
import { execFile } from "node:child_process";
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const sdk = resolve(import.meta.dirname, "..");
const typescript = createRequire(import.meta.url).resolve("typescript/package.json");

/** Writes JavaScript, declarations, manifest, README and licence to `folder`, which is emptied first. */
export async function build(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const tsc = join(typescript, "../bin/tsc");
  const args = [tsc, "-p", join(sdk, "tsconfig.build.json"), "--outDir", folder];
  await promisify(execFile)(process.execPath, args);
  const { name, version, description, license, keywords, engines } = JSON.parse(
    await readFile(join(sdk, "package.json"), "utf8"),
  );
  const manifest = {
    ...{ name, version, description, license, keywords, engines, type: "module", sideEffects: false },
    exports: { ".": { types: "./index.d.ts", default: "./index.js" } },
    bin: { "omni-iml": "./command/main.js" },
  };
  await writeFile(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  await copyFile(join(sdk, "README.md"), join(folder, "README.md"));
  await copyFile(join(sdk, "../LICENSE"), join(folder, "LICENSE"));
}

if (import.meta.main) await build(join(sdk, "dist"));
