/** What `omni-iml analyze` was given, one image after the other. */
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { buffer } from "node:stream/consumers";
import type { CreateParams } from "../analyses.ts";
import { UsageError } from "./usage-error.ts";

export interface Target {
  /** As it was typed, or found in a folder. */
  input: string;
  /** Of the files in `--out`, without their ending; a path inside that folder. */
  output: string;
  /** Reads the image only when its turn has come. */
  image(): Promise<CreateParams>;
}

const endings = /\.(jpe?g|png|webp|tiff?|avif|hei[cf])$/i;

/** Throws {@link UsageError} where there is no such file, and where a folder has no images. */
export async function targets(given: readonly string[], stdin: NodeJS.ReadableStream): Promise<Target[]> {
  const found = (await Promise.all(given.map((one) => targetsOf(one, stdin)))).flat();
  const taken = new Map<string, number>();
  return found.map((target) => {
    const count = (taken.get(target.output) ?? 0) + 1;
    taken.set(target.output, count);
    return count === 1 ? target : { ...target, output: `${target.output}-${count}` };
  });
}

async function targetsOf(given: string, stdin: NodeJS.ReadableStream): Promise<Target[]> {
  if (given === "-") {
    const image = async () => ({ image: new Uint8Array(await buffer(stdin)), filename: "stdin" });
    return [{ input: "-", output: "stdin", image }];
  }
  if (/^https?:\/\//i.test(given)) {
    if (!URL.canParse(given)) refuse(given, "is no address");
    const { hostname, pathname } = new URL(given);
    return [{ input: given, output: basename(pathname) || hostname, image: async () => ({ image_url: given }) }];
  }
  const what = await stat(given).catch(() => refuse(given, "does not exist or cannot be read"));
  if (!what.isDirectory()) return [file(given, basename(given))];
  const names = await readdir(given, { recursive: true });
  const images = names.filter((name) => endings.test(name)).sort();
  if (images.length === 0) refuse(given, "has no images in it");
  return images.map((name) => file(join(given, name), name));
}

function file(path: string, output: string): Target {
  return { input: path, output, image: async () => ({ image: await readFile(path), filename: basename(path) }) };
}

function refuse(given: string, why: string): never {
  throw new UsageError(`${given} ${why}`);
}
