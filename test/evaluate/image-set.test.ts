import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { pairKeys, readImageSet } from "./image-set.ts";

async function folderWith(index: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "image-set-"));
  await writeFile(join(folder, "index.csv"), index);
  return folder;
}

describe("readImageSet", () => {
  it("reads quoted fields and ignores columns it does not need", async () => {
    const folder = await folderWith(
      'dest,licence,label,mask,domain,set,kind\ntampered/a.jpg,"research, or unstated",1,mask/a.png,natural,casia1,splice\nauthentic/b.jpg,,0,,face,caltech,authentic\n',
    );
    const images = await readImageSet(folder);
    expect(images).toHaveLength(2);
    expect(images[0]).toEqual({
      name: "tampered/a.jpg",
      path: join(folder, "tampered/a.jpg"),
      tampered: true,
      maskPath: join(folder, "mask/a.png"),
      domain: "natural",
      set: "casia1",
      kind: "splice",
      original: null,
    });
    expect(images[1]).toMatchObject({ tampered: false, maskPath: null });
  });

  it("refuses a manipulated image without a mask", async () => {
    const folder = await folderWith("dest,label,mask,domain,set,kind\na.jpg,1,,natural,s,splice\n");
    await expect(readImageSet(folder)).rejects.toThrow("needs a mask");
  });
});

describe("pairKeys", () => {
  it.each([
    ["tampered/imd2020_00010_fake_02.png", "authentic/imd2020_00010_orig.jpg"],
    ["tampered/imd2020_00031_fake.jpg", "authentic/imd2020_00031_orig.jpg"],
    ["tampered/comofod_005.png", "authentic/comofod_005.png"],
  ])("%s belongs to %s", (tampered, authentic) => {
    const keys = (name: string) => pairKeys({ name, set: "s", original: null });
    expect(keys(tampered)).toEqual(keys(authentic));
  });

  it("an image belongs to what was made from the same file, whatever its name", () => {
    const [forged] = pairKeys({ name: "tampered/0.jpg", set: "s", original: "authentic/receipt.jpg" });
    expect(pairKeys({ name: "authentic/7.png", set: "s", original: "authentic/receipt.jpg" })).toContain(forged);
    expect(pairKeys({ name: "authentic/7.png", set: "other", original: "authentic/receipt.jpg" })).not.toContain(
      forged,
    );
  });
});
