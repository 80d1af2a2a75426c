/** The model release on disk: its manifest and the file that the manifest names. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { messageOf } from "@omni-iml/shared/message-of";
import { type ReleaseManifest, releaseManifest } from "@omni-iml/shared/release";
import { StartError } from "./configuration.ts";

export interface Release {
  readonly manifest: ReleaseManifest;
  readonly modelFile: string;
  /** null where the release has no interpretation model. */
  readonly interpretationFile: string | null;
}

/** @throws StartError where a file is missing or is not the one the manifest describes. */
export async function loadRelease(folder: string): Promise<Release> {
  const manifestFile = join(folder, "manifest.json");
  const manifest = parseManifest(manifestFile, await readFile(manifestFile, "utf8").catch(missing(manifestFile)));
  const modelFile = await checked(folder, manifest.model);
  const interpretationFile =
    manifest.interpretation === undefined ? null : await checked(folder, manifest.interpretation.model);
  return { manifest, modelFile, interpretationFile };
}

/** The path of a model's file whose content is the one that the manifest names. */
async function checked(folder: string, model: { readonly file: string; readonly sha256: string }): Promise<string> {
  const file = join(folder, model.file);
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash).catch(missing(file));
  const sha256 = hash.digest("hex");
  if (sha256 === model.sha256) return file;
  throw new StartError(`${file} has SHA-256 ${sha256}, but its manifest names ${model.sha256}`);
}

function missing(file: string) {
  return (error: unknown): never => {
    const reason = messageOf(error);
    throw new StartError(`the model release cannot be read: ${file}: ${reason} (MODEL_DIR chooses the folder)`);
  };
}

function parseManifest(file: string, text: string): ReleaseManifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new StartError(`${file} is not JSON`, { cause: error });
  }
  const parsed = releaseManifest.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new StartError(`${file} is not a release manifest: ${issue?.path.join(".")} ${issue?.message}`);
}
