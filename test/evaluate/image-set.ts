/** An evaluation set: a folder with images, masks and `index.csv` (shared/data/README.md of the data). */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { domains } from "@omni-iml/shared/analysis";
import { parse } from "csv-parse/sync";
import { z } from "zod";

const indexRow = z
  .object({
    dest: z.string().min(1),
    label: z.enum(["0", "1"]),
    mask: z.string(),
    domain: z.enum(domains),
    set: z.string().min(1),
    kind: z.string(),
    original_path: z.string().default(""),
  })
  .refine(({ label, mask }) => label === "0" || mask !== "", "a manipulated image needs a mask");

export interface SetImage {
  /** Path within the set; also its name in every report. */
  name: string;
  path: string;
  tampered: boolean;
  /** Of a tampered image. */
  maskPath: string | null;
  domain: (typeof domains)[number];
  set: string;
  kind: string;
  /** The file that this image was made from, where the set tells; authentic images of forged sets have one too. */
  original: string | null;
}

export async function readImageSet(folder: string): Promise<SetImage[]> {
  const rows: unknown = parse(await readFile(join(folder, "index.csv")), { columns: true, skip_empty_lines: true });
  return z
    .array(indexRow)
    .parse(rows)
    .map(({ dest, label, mask, domain, set, kind, original_path }) => ({
      name: dest,
      path: join(folder, dest),
      tampered: label === "1",
      maskPath: label === "1" ? join(folder, mask) : null,
      domain,
      set,
      kind,
      original: original_path === "" ? null : original_path,
    }));
}

/**
 * What a tampered image and its own original have in common: the file that both were made from, where the set tells, or
 * their names. IMD2020 tells them apart by a suffix, the other sets by the folder.
 */
export function pairKeys({ name, set, original }: Pick<SetImage, "name" | "set" | "original">): string[] {
  const stem = name
    .replace(/^.*\//, "")
    .replace(/\.[^.]+$/, "")
    .replace(/_(orig|fake(_\d+)?)$/, "");
  return [...(original === null ? [] : [`${set} from ${original}`]), `${set}/${stem}`];
}
