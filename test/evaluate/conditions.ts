/** What may happen to an image on its way to the service: saved again, or resized. */
import { readFile } from "node:fs/promises";
import sharp, { type Sharp } from "sharp";

export const conditionNames = ["as-is", "jpeg85", "jpeg70", "resize75", "resize75-png"] as const;
export type ConditionName = (typeof conditionNames)[number];

/** As `--condition` gives them: names, or `all` of them. Throws a RangeError at any other. */
export function conditionsNamed(given: readonly string[]): ConditionName[] {
  if (given.includes("all")) return [...conditionNames];
  return given.map((text) => {
    const name = conditionNames.find((one) => one === text);
    if (name === undefined) throw new RangeError(`--condition must be all or one of ${conditionNames.join(", ")}`);
    return name;
  });
}

interface Condition {
  /** Of the image's sides. */
  scale: number;
  save: (image: Sharp) => Sharp;
}

const conditions: Readonly<Record<Exclude<ConditionName, "as-is">, Condition>> = {
  jpeg85: { scale: 1, save: (image) => image.jpeg({ quality: 85 }) },
  jpeg70: { scale: 1, save: (image) => image.jpeg({ quality: 70 }) },
  resize75: { scale: 0.75, save: (image) => image.jpeg({ quality: 90 }) },
  "resize75-png": { scale: 0.75, save: (image) => image.png() },
};

export interface Sent {
  bytes: Uint8Array<ArrayBuffer>;
  /** As displayed. */
  width: number;
  height: number;
}

/** The file at `path` as `condition` leaves it. */
export async function underCondition(path: string, condition: ConditionName): Promise<Sent> {
  const file = await readFile(path);
  if (condition === "as-is") {
    const { autoOrient } = await sharp(file).metadata();
    return { bytes: new Uint8Array(file), width: autoOrient.width, height: autoOrient.height };
  }
  const { scale, save } = conditions[condition];
  const upright = sharp(file, { ignoreIcc: true }).autoOrient();
  const { autoOrient } = await sharp(file).metadata();
  const width = Math.round(autoOrient.width * scale);
  const height = Math.round(autoOrient.height * scale);
  const resized = scale === 1 ? upright : upright.resize(width, height, { kernel: "lanczos3", fit: "fill" });
  return { bytes: new Uint8Array(await save(resized).toBuffer()), width, height };
}

/** A grey image's levels, row by row, at the given size. */
export async function levels(file: string | Uint8Array, width: number, height: number): Promise<Uint8Array> {
  const grey = sharp(file).greyscale();
  const { width: ownWidth, height: ownHeight } = await grey.metadata();
  const sized =
    ownWidth === width && ownHeight === height ? grey : grey.resize(width, height, { kernel: "linear", fit: "fill" });
  return sized.raw().toBuffer();
}
