/** The forms of `POST /v1/analyses` that name an image which lies somewhere, and uploads. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { upload as uploadSchema } from "@omni-iml/shared/uploads";
import { describe, expect, it } from "vitest";
import { sha256Hex } from "../storage/digest.ts";
import { uploadKey } from "../storage/objects.ts";
import {
  eventually,
  expectProblem,
  newAccount,
  newImage,
  outside,
  postJson,
  request,
  resource,
  storedKeys,
  type TestAccount,
} from "../testing/client.ts";

describe("image_url", () => {
  it("is fetched, stored and analysed like an image in the request", async () => {
    const account = await newAccount();
    const image = newImage();
    const { url } = await outside({ body: image, headers: { "content-type": "image/png" } });
    const sent = { image_url: `${url}/scan%20%C3%BC.png`, options: { outputs: ["mask"] }, metadata: { case: "7" } };
    // The outside world knows an address by its first segment.
    const response = await postJson(account, "/v1/analyses", sent);
    expect(response.status).toBe(201);
    const analysis = await resource(response);
    expect(analysis).toMatchObject({
      status: "succeeded",
      metadata: { case: "7" },
      options: { outputs: ["mask"] },
      input: { sha256: await sha256Hex(image), bytes: 100, content_type: "image/png", filename: "scan ü.png" },
    });
    const stored = await env.STORAGE.get(`inputs/${account.id}/${analysis.id}`);
    expect(new Uint8Array((await stored?.arrayBuffer()) ?? new ArrayBuffer())).toEqual(image);
  });

  it("shares its result with the same bytes sent otherwise", async () => {
    const account = await newAccount();
    const image = newImage();
    const { url } = await outside({ body: image });
    await resource(postJson(account, "/v1/analyses", { image_url: url }));
    const again = request(account, "/v1/analyses", { method: "POST", body: image });
    expect(await resource(again)).toMatchObject({ cached: true });
  });

  it.each([
    ["http://169.254.169.254/latest/meta-data/", "image_url_refused"],
    ["http://10.0.0.1/a.jpg", "image_url_refused"],
    ["http://user:pass@example.com/a.jpg", "image_url_refused"],
  ] as const)("%s is refused", async (image_url, code) => {
    const account = await newAccount();
    await expectProblem(postJson(account, "/v1/analyses", { image_url }), code);
    expect(await storedKeys(`inputs/${account.id}/`)).toEqual([]);
  });

  it("that leads to a private address by a redirect is refused", async () => {
    const { url } = await outside({ status: 302, headers: { location: "http://192.168.0.1/a.jpg" } });
    await expectProblem(postJson(await newAccount(), "/v1/analyses", { image_url: url }), "image_url_refused");
  });

  it.each([
    ["answers 404", { status: 404 }, "image_url_failed"],
    ["is empty", { body: new Uint8Array() }, "image_url_failed"],
    ["is a page", { body: newImage(), headers: { "content-type": "text/html" } }, "unsupported_media_type"],
    [
      "is text that calls itself an image",
      { body: new TextEncoder().encode("hello"), headers: { "content-type": "image/png" } },
      "unsupported_media_type",
    ],
    ["is too large", { body: newImage(1024 * 1024 + 1) }, "image_too_large"],
    ["takes too long", { body: newImage(), delay: 4_000 }, "image_url_failed"],
  ] as const)("that %s is a refusal that costs nothing", async (_, answer, code) => {
    const account = await newAccount({ quota: 1, inFlight: 1 });
    const { url } = await outside(answer);
    await expectProblem(postJson(account, "/v1/analyses", { image_url: url }), code);
    expect(await storedKeys(`inputs/${account.id}/`)).toEqual([]);
    // Neither the quota nor the place among those under way was used.
    expect((await request(account, "/v1/analyses", { method: "POST", body: newImage() })).status).toBe(201);
  });

  it.each([
    [{}, "body.image_url"],
    [{ image_url: "https://example.com/a.jpg", upload_id: "up_1" }, "body.upload_id"],
    [{ image_url: "https://example.com/a.jpg", treshold: 1 }, "body.treshold"],
    [{ image_url: "ftp://example.com/a.jpg" }, "body.image_url"],
    [{ image_url: "https://example.com/a.jpg", options: { threshold: 2 } }, "body.options.threshold"],
  ])("in %j is refused by the field's name", async (sent, path) => {
    const document = await expectProblem(postJson(await newAccount(), "/v1/analyses", sent), "invalid_request");
    expect(document.errors?.map((error) => error.path)).toContain(path);
  });

  it("needs JSON that is one", async () => {
    const headers = { "content-type": "application/json" };
    const sent = request(await newAccount(), "/v1/analyses", { method: "POST", body: "{", headers });
    await expectProblem(sent, "invalid_request");
  });
});

describe("uploads", () => {
  async function announce(account: TestAccount, bytes: number) {
    const response = await postJson(account, "/v1/uploads", { bytes, content_type: "image/png", filename: "scan.png" });
    expect(response.status).toBe(201);
    return uploadSchema.parse(await response.json());
  }
  const read = async (account: TestAccount, id: string) =>
    uploadSchema.parse(await (await request(account, `/v1/uploads/${id}`)).json());

  it("sign length and type into the address, and become one analysis", async () => {
    const account = await newAccount();
    const image = newImage();
    const upload = await announce(account, image.length);
    expect(upload).toMatchObject({ status: "pending", bytes: 100, filename: "scan.png", analysis: null });
    const address = new URL(upload.put?.url ?? "");
    expect(address.searchParams.get("X-Amz-SignedHeaders")).toBe("content-length;content-type;host");
    expect(upload.put?.headers).toEqual({ "content-type": "image/png", "content-length": "100" });
    await expectProblem(postJson(account, "/v1/analyses", { upload_id: upload.id }), "upload_not_ready");

    const key = uploadKey(account.id, upload.id);
    expect(address.pathname).toBe(`/omni-iml/${key}`);
    await env.STORAGE.put(key, image);
    expect((await read(account, upload.id)).status).toBe("uploaded");
    const analysis = await resource(postJson(account, "/v1/analyses", { upload_id: upload.id }));
    expect(analysis).toMatchObject({
      status: "succeeded",
      input: { sha256: await sha256Hex(image), bytes: 100, content_type: "image/png", filename: "scan.png" },
    });
    expect(await storedKeys(`uploads/${account.id}/`)).toEqual([]);
    expect(await read(account, upload.id)).toMatchObject({ status: "used", put: null, analysis: analysis.id });
    const again = await expectProblem(postJson(account, "/v1/analyses", { upload_id: upload.id }), "upload_used");
    expect(again.detail).toContain(analysis.id);
  });

  it("that turn out to be no image, or not what was announced, can be put right", async () => {
    const account = await newAccount();
    const { id } = await announce(account, 100);
    const key = uploadKey(account.id, id);
    await env.STORAGE.put(key, "x".repeat(100));
    await expectProblem(postJson(account, "/v1/analyses", { upload_id: id }), "unsupported_media_type");
    await env.STORAGE.put(key, newImage(99));
    await expectProblem(postJson(account, "/v1/analyses", { upload_id: id }), "upload_not_ready");
    await env.STORAGE.put(key, newImage(100));
    expect((await postJson(account, "/v1/analyses", { upload_id: id })).status).toBe(201);
  });

  it("become one analysis however many ask at the same time", async () => {
    const account = await newAccount();
    const { id } = await announce(account, 100);
    await env.STORAGE.put(uploadKey(account.id, id), newImage());
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => postJson(account, "/v1/analyses", { upload_id: id })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409, 409]);
  });

  it("are the account's own", async () => {
    const [owner, other] = [await newAccount(), await newAccount()];
    const { id } = await announce(owner, 100);
    await env.STORAGE.put(uploadKey(owner.id, id), newImage());
    await expectProblem(request(other, `/v1/uploads/${id}`), "not_found");
    await expectProblem(request(other, `/v1/uploads/${id}`, { method: "DELETE" }), "not_found");
    await expectProblem(postJson(other, "/v1/analyses", { upload_id: id }), "not_found");
    expect((await read(owner, id)).status).toBe("uploaded");
  });

  it("are erased on demand and after their time", async () => {
    const account = await newAccount();
    const [first, second] = [await announce(account, 100), await announce(account, 100)];
    for (const { id } of [first, second]) await env.STORAGE.put(uploadKey(account.id, id), newImage());
    expect((await request(account, `/v1/uploads/${first.id}`, { method: "DELETE" })).status).toBe(204);
    expect(await storedKeys(`uploads/${account.id}/`)).toEqual([uploadKey(account.id, second.id)]);
    await expectProblem(request(account, `/v1/uploads/${first.id}`), "gone");
    await expectProblem(postJson(account, "/v1/analyses", { upload_id: first.id }), "gone");

    const object = env.UPLOADS.getByName(second.id);
    await runInDurableObject(object, async (_, state) => {
      state.storage.sql.exec("UPDATE timers SET due = 0 WHERE kind = 'expire'");
      await state.storage.setAlarm(Date.now() + 60_000);
    });
    await runDurableObjectAlarm(object);
    await eventually(async () => expect(await storedKeys(`uploads/${account.id}/`)).toEqual([]));
    await expectProblem(request(account, `/v1/uploads/${second.id}`), "gone");
  });

  it("claimed by a request that was cut off are free again after the lease", async () => {
    const account = await newAccount();
    const { id } = await announce(account, 100);
    await env.STORAGE.put(uploadKey(account.id, id), newImage());
    const object = env.UPLOADS.getByName(id);
    await object.claim(account.id, "an_00000000000000000000000000");
    await expectProblem(postJson(account, "/v1/analyses", { upload_id: id }), "upload_used");
    await runInDurableObject(object, async (_, state) => {
      state.storage.sql.exec("UPDATE timers SET due = 0 WHERE kind = 'claim'");
      await state.storage.setAlarm(Date.now() + 60_000);
    });
    await runDurableObjectAlarm(object);
    expect((await postJson(account, "/v1/analyses", { upload_id: id })).status).toBe(201);
  });

  it.each([
    [{ bytes: 200_000_001, content_type: "image/png" }, "json.bytes"],
    [{ bytes: 1, content_type: "application/pdf" }, "json.content_type"],
  ])("%j are refused", async (sent, path) => {
    const document = await expectProblem(postJson(await newAccount(), "/v1/uploads", sent), "invalid_request");
    expect(document.errors?.[0]?.path).toBe(path);
  });
});
