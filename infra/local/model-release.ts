import { statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type ReleaseManifest, releaseManifest } from "@omni-iml/shared/release";
import { StartupError } from "./startup-error.ts";

/** The manifest in `folder`, once it is sure that its model file lies beside it, whole. */
export async function requireRelease(folder: string): Promise<ReleaseManifest> {
  const path = join(folder, "manifest.json");
  let manifest: ReleaseManifest;
  try {
    manifest = releaseManifest.parse(JSON.parse(await readFile(path, "utf8")));
  } catch (cause) {
    throw new StartupError(`${path} is missing or damaged; restore it with: git checkout -- model/release`, { cause });
  }
  const model = join(folder, manifest.model.file);
  const bytes = statSync(model, { throwIfNoEntry: false })?.size;
  if (bytes === undefined) {
    throw new StartupError(`the model file ${model} is missing; restore it with: git checkout -- model/release`);
  }
  if (bytes !== manifest.model.bytes) {
    throw new StartupError(`the model file ${model} has ${bytes} bytes, its manifest says ${manifest.model.bytes}`);
  }
  return manifest;
}
