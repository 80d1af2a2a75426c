/** Quantization tables that are known: whose files they were seen in. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { z } from "zod";
import type { JpegStructure } from "../../image/jpeg.ts";

/** By `tableKey`; made by learn-tables.ts from camera originals, editors' from their own presets. */
const knownTables = z.record(
  z.string(),
  z.object({ cameras: z.array(z.string()).optional(), editors: z.array(z.string()).optional() }),
);
const known = new Map(
  Object.entries(knownTables.parse(JSON.parse(readFileSync(new URL("known-tables.json", import.meta.url), "utf8")))),
);

/** First and second table, in natural order, as one short name. */
export function tableKey({ firstTable, secondTable }: Pick<JpegStructure, "firstTable" | "secondTable">): string {
  return createHash("sha256")
    .update([...firstTable, ...(secondTable ?? [])].join(","))
    .digest("hex")
    .slice(0, 16);
}

export interface TableOrigin {
  readonly cameras: readonly string[];
  readonly editors: readonly string[];
}

export function originOf(jpeg: Pick<JpegStructure, "firstTable" | "secondTable">): TableOrigin {
  const { cameras = [], editors = [] } = known.get(tableKey(jpeg)) ?? {};
  return { cameras, editors };
}
