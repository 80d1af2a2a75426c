/** The client in the Workers runtime, against this very worker. */

import { exports } from "cloudflare:workers";
import { isProblem, OmniIml } from "@omni-iml/sdk";
import { expect, it } from "vitest";
import { eventually, newAccount, newImage, runnerFor } from "./testing/client.ts";

it("sends, follows, waits, lists and erases", async () => {
  const { key: apiKey } = await newAccount();
  const image = newImage();
  const runner = await runnerFor(image, { kind: "hold" });
  const { analyses } = new OmniIml({
    apiKey,
    baseUrl: "http://edge.test",
    fetch: (url, init) => exports.default.fetch(url, init),
  });
  const { id } = await analyses.create({ image, filename: "photo.png", wait: 0 });
  const happened: string[] = [];
  for await (const { event } of analyses.stream(id)) {
    if (happened.push(event) === 1) await runner.open();
  }
  expect(happened.at(0)).toBe("status");
  expect(happened.at(-1)).toBe("end");
  expect(await analyses.wait(id)).toMatchObject({ status: "succeeded", verdict: "tampered" });
  // The list is an index, and may be a moment behind.
  await eventually(async () => expect((await analyses.list({ limit: 1 })).data).toMatchObject([{ id }]));
  await analyses.delete(id);
  const refused = await analyses.retrieve(id).catch((error: unknown) => error);
  expect(isProblem(refused, "gone")).toBe(true);
});
