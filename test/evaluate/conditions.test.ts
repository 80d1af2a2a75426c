import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import { conditionNames, conditionsNamed, levels, underCondition } from "./conditions.ts";

let path: string;
let turned: string;

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), "conditions-"));
  const noise = { type: "gaussian", mean: 128, sigma: 40 } as const;
  const image = sharp({ create: { width: 200, height: 120, channels: 3, background: "grey", noise } });
  path = join(folder, "image.jpg");
  turned = join(folder, "turned.jpg");
  const jpeg = await image.jpeg({ quality: 95 }).toBuffer();
  await writeFile(path, jpeg);
  await writeFile(turned, await sharp(jpeg).withMetadata({ orientation: 6 }).toBuffer());
});

describe("underCondition", () => {
  it.each([
    ["as-is", "jpeg", 200, 120],
    ["jpeg85", "jpeg", 200, 120],
    ["jpeg70", "jpeg", 200, 120],
    ["resize75", "jpeg", 150, 90],
    ["resize75-png", "png", 150, 90],
  ] as const)("%s sends a %s of %i × %i", async (name, format, width, height) => {
    const sent = await underCondition(path, name);
    expect(sent).toMatchObject({ width, height });
    expect(await sharp(sent.bytes).metadata()).toMatchObject({ format, width, height });
  });

  it("saves at the quality of its name", async () => {
    const at85 = await underCondition(path, "jpeg85");
    const at70 = await underCondition(path, "jpeg70");
    expect(at70.bytes.length).toBeLessThan(at85.bytes.length);
  });

  it.each(conditionNames)("%s tells the displayed size of a turned image", async (name) => {
    const { width, height } = await underCondition(turned, name);
    expect(height).toBeGreaterThan(width);
  });
});

describe("conditionsNamed", () => {
  it("takes names or all of them, and refuses others", () => {
    expect(conditionsNamed(["jpeg70", "as-is"])).toEqual(["jpeg70", "as-is"]);
    expect(conditionsNamed(["all"])).toEqual(conditionNames);
    expect(() => conditionsNamed(["jpeg71"])).toThrow("--condition must be all or one of");
  });
});

describe("levels", () => {
  it("keeps a mask as it is, or resizes it", async () => {
    const half = Buffer.from(Array.from({ length: 100 }, (_, i) => (i % 10 < 5 ? 255 : 0)));
    const mask = await sharp(half, { raw: { width: 10, height: 10, channels: 1 } })
      .png()
      .toBuffer();
    expect(Buffer.from(await levels(mask, 10, 10))).toEqual(half);
    const larger = await levels(mask, 20, 20);
    expect(larger).toHaveLength(400);
    expect([larger[0], larger[19]]).toEqual([255, 0]);
  });
});
