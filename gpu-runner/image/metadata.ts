/** The few EXIF facts that say where a file comes from. */
import exifr from "exifr";
import { z } from "zod";

const text = z
  .string()
  .transform((value) => value.replace(/\0/g, "").trim())
  .optional()
  .catch(undefined);

const tags = z.object({
  Make: text,
  Model: text,
  Software: text,
  ProcessingSoftware: text,
  DateTimeOriginal: text,
  ModifyDate: text,
});

export interface Metadata {
  /** Maker and model. */
  readonly camera: string | null;
  /** What last wrote the file, by its own account. */
  readonly software: string | null;
  /** As written, "2026:11:23 17:50:00": EXIF dates have no time zone. */
  readonly taken: string | null;
  readonly modified: string | null;
}

/**
 * Reads an EXIF block: a TIFF structure, with or without "Exif" before it.
 *
 * @throws where it is damaged.
 */
export async function readMetadata(exif: Buffer | null): Promise<Metadata> {
  if (exif === null) return { camera: null, software: null, taken: null, modified: null };
  const block = exif.toString("latin1", 0, 6) === "Exif\0\0" ? exif.subarray(6) : exif;
  const found: unknown = await exifr.parse(block, { pick: Object.keys(tags.shape), reviveValues: false });
  const { Make, Model, Software, ProcessingSoftware, DateTimeOriginal, ModifyDate } = tags.parse(found ?? {});
  // Many makers repeat their name in the model's.
  const camera = Model?.startsWith(Make ?? "") ? Model : [Make, Model].filter(Boolean).join(" ");
  return {
    camera: camera || null,
    software: Software || ProcessingSoftware || null,
    taken: DateTimeOriginal || null,
    modified: ModifyDate || null,
  };
}
