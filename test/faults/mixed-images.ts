/** Small images of every kind, no two alike unless they are meant to be. */
import { randomBytes } from "node:crypto";
import sharp from "sharp";
import { corruptMark, sha256 } from "./stored-files.ts";

export interface MixedImage {
  bytes: Uint8Array<ArrayBuffer>;
  sha256: string;
  contentType: string;
  corrupt: boolean;
}

const kinds = ["jpeg", "png", "webp", "tiff"] as const;

/** Gives one image after the other: four formats in two sizes, one in twelve corrupt, one in ten sent before. */
export class MixedImages {
  readonly #bases: readonly { contentType: string; bytes: Buffer }[];
  #count = 0;
  #last: MixedImage | null = null;

  private constructor(bases: readonly { contentType: string; bytes: Buffer }[]) {
    this.#bases = bases;
  }

  static async make(): Promise<MixedImages> {
    const made = kinds.flatMap((kind) =>
      [64, 200].map(async (size) => {
        const soft = sharp(randomBytes(6 * 6 * 3), { raw: { width: 6, height: 6, channels: 3 } }).resize(size, size);
        return { contentType: `image/${kind}`, bytes: await soft.toFormat(kind).toBuffer() };
      }),
    );
    return new MixedImages(await Promise.all(made));
  }

  next(): MixedImage {
    const number = this.#count++;
    if (number % 10 === 9 && this.#last !== null) return this.#last;
    const base = this.#bases[number % this.#bases.length];
    if (base === undefined) throw new Error("there is no image");
    const corrupt = number % 12 === 5;
    // Behind the end of an image its decoder looks no more; a corrupt one is its own first bytes and rubbish.
    const parts = corrupt
      ? [base.bytes.subarray(0, 40), Buffer.from(corruptMark), randomBytes(64)]
      : [base.bytes, randomBytes(32)];
    const bytes = new Uint8Array(Buffer.concat(parts));
    this.#last = { bytes, sha256: sha256(bytes), contentType: base.contentType, corrupt };
    return this.#last;
  }
}
