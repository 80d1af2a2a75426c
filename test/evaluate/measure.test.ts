import { mkdtemp, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OmniIml } from "@omni-iml/sdk";
import { analysisExample } from "@omni-iml/shared/examples";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SetImage } from "./image-set.ts";
import { mapped, measured } from "./measure.ts";

/** A service that fails once and then calls the left half of everything manipulated, with the map's size as asked. */
let requests = 0;
let mapWidth = 64;
const server = createServer((request, response) => {
  const origin = `http://127.0.0.1:${port()}`;
  if (request.url === "/map.png") {
    const levels = Buffer.from(Array.from({ length: mapWidth * 32 }, (_, i) => (i % mapWidth < 32 ? 255 : 0)));
    void sharp(levels, { raw: { width: mapWidth, height: 32, channels: 1 } })
      .png()
      .toBuffer()
      .then((map) => response.end(map));
    return;
  }
  request.resume().on("end", () => {
    requests++;
    response.statusCode = requests === 1 ? 422 : 201;
    response.setHeader("content-type", "application/json");
    const { probability } = analysisExample.files;
    const found = {
      score: 0.7,
      modality: "fused",
      files: { probability: { ...probability, url: `${origin}/map.png` } },
    };
    response.end(JSON.stringify(requests === 1 ? { title: "not this time" } : { ...analysisExample, ...found }));
  });
});

function port(): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("not listening");
  return address.port;
}

let image: SetImage;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const folder = await mkdtemp(join(tmpdir(), "measure-"));
  const [path, maskPath] = [join(folder, "a.png"), join(folder, "mask.png")];
  const grey = sharp({ create: { width: 64, height: 32, channels: 3, background: "grey" } });
  await writeFile(path, await grey.png().toBuffer());
  // The upper half was manipulated: the map hits half of it, and half of the map is right.
  const truth = Buffer.from(Array.from({ length: 64 * 32 }, (_, i) => (i < 64 * 16 ? 255 : 0)));
  await writeFile(
    maskPath,
    await sharp(truth, { raw: { width: 64, height: 32, channels: 1 } })
      .png()
      .toBuffer(),
  );
  image = {
    name: "a.png",
    path,
    maskPath,
    tampered: true,
    domain: "natural",
    set: "s",
    kind: "splice",
    original: null,
  };
});

afterAll(() => void server.close());

describe("an image through the API", () => {
  const client = () => new OmniIml({ apiKey: "omni_test", baseUrl: `http://127.0.0.1:${port()}`, maxRetries: 0 });

  it("asks again, and measures the map against the mask", async () => {
    const answer = await mapped(client(), image, "as-is");
    expect(requests).toBe(2);
    if ("reason" in answer) throw new Error(answer.reason);
    const outcome = await measured(answer, true);
    expect(outcome).toMatchObject({ score: 0.7, modality: "fused", flagged: 0.5, metrics: { f1: 0.5, iou: 1 / 3 } });
    expect(outcome.map).toBeInstanceOf(Uint8Array);
  });

  it("says why there is no figure", async () => {
    mapWidth = 40;
    const outcome = await mapped(client(), image, "as-is");
    expect(outcome).toEqual({ image: "a.png", reason: "the map has 40 × 32 pixels, the image 64 × 32" });
  });
});
