import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import {
  analysisObject,
  ended,
  eventually,
  expectProblem,
  newAccount,
  newImage,
  problem,
  request,
  resource,
  ring,
  runnerFor,
  send,
  storedKeys,
} from "../testing/client.ts";

describe("POST /v1/analyses", () => {
  it("answers 201 with the resource and signed addresses when the analysis has ended", async () => {
    const account = await newAccount();
    const image = newImage();
    const response = await send(account, image, {
      fields: { metadata: '{"case":"7"}', options: '{"outputs":["mask"]}' },
    });
    expect(response.status).toBe(201);
    expect(response.headers.get("preference-applied")).toBe("wait=30");
    const analysis = await resource(response);
    expect(response.headers.get("location")).toBe(`/v1/analyses/${analysis.id}`);
    expect(analysis).toMatchObject({
      status: "succeeded",
      cached: false,
      attempts: 1,
      verdict: "tampered",
      metadata: { case: "7" },
      input: { bytes: image.length, content_type: "image/png", filename: "photo.png" },
      error: null,
    });
    expect(Object.keys(analysis.files)).toEqual(["mask"]);
    const url = new URL(analysis.files.mask?.url ?? "");
    expect(url.searchParams.get("X-Amz-Expires")).toBe("3600");
    expect(url.searchParams.get("response-content-type")).toBe("image/png");
  });

  it("takes a raw body with its options in the query", async () => {
    const account = await newAccount();
    const query = new URLSearchParams({ options: '{"outputs":["report"],"threshold":0.3}' });
    const response = await request(account, `/v1/analyses?${query}`, {
      method: "POST",
      body: newImage(),
      headers: { "content-type": "image/png" },
    });
    expect(response.status).toBe(201);
    expect(await resource(response)).toMatchObject({ threshold: 0.3, options: { outputs: ["report"] } });
  });

  it("answers 202 at once where the caller prefers to come back, and the queue brings the end", async () => {
    const account = await newAccount();
    const response = await send(account, newImage(), { prefer: "respond-async" });
    expect(response.status).toBe(202);
    expect(response.headers.get("preference-applied")).toBe("respond-async");
    expect(response.headers.get("retry-after")).toBe("1");
    const { id } = await resource(response);
    expect(await ended(account, id)).toMatchObject({ status: "succeeded" });
  });

  it("answers 202 when the wait is over before the end", async () => {
    const account = await newAccount();
    const image = newImage();
    const runner = await runnerFor(image, { kind: "hold" });
    const response = await send(account, image, { prefer: "wait=1" });
    expect(response.status).toBe(202);
    const { id } = await resource(response);
    await runner.open();
    expect(await ended(account, id)).toMatchObject({ status: "succeeded" });
  });

  it("says when to ask again as long as it has not ended, sooner where somebody waits for it", async () => {
    const account = await newAccount();
    for (const [priority, seconds] of [
      ["interactive", "1"],
      ["batch", "5"],
    ]) {
      const image = newImage();
      const runner = await runnerFor(image, { kind: "hold" });
      const fields = { options: JSON.stringify({ priority }) };
      const { id } = await resource(send(account, image, { prefer: "respond-async", fields }));
      const read = (prefer: string) => request(account, `/v1/analyses/${id}`, { headers: { prefer } });
      expect((await read("wait=0")).headers.get("retry-after")).toBe(seconds);
      // The wait of this one is over before the end, too.
      expect((await read("wait=1")).headers.get("retry-after")).toBe(seconds);
      await runner.open();
      const last = await read("wait=30");
      expect(last.headers.get("retry-after")).toBeNull();
      expect(await resource(last)).toMatchObject({ status: "succeeded" });
    }
  });

  it("answers 201 with the runner's problem where the image itself is at fault", async () => {
    const account = await newAccount();
    const image = newImage();
    const runner = await runnerFor(image, { kind: "problem", problem: problem("image_too_small") });
    const response = await send(account, image);
    expect(response.status).toBe(201);
    expect(await resource(response)).toMatchObject({
      status: "failed",
      attempts: 1,
      error: { code: "image_too_small", status: 422 },
    });
    expect(await runner.calls()).toHaveLength(1);
  });

  it.each([
    ["text", "just some text\n", "unsupported_media_type"],
    ["a PDF", "%PDF-1.7 …", "unsupported_media_type"],
    ["nothing", "", "empty_body"],
  ] as const)("refuses %s", async (_, content, code) => {
    await expectProblem(send(await newAccount(), content), code);
  });

  it("refuses a request without a body", async () => {
    await expectProblem(request(await newAccount(), "/v1/analyses", { method: "POST" }), "empty_body");
  });

  it("refuses what is larger than the limit, by its declared length and while reading", async () => {
    const account = await newAccount();
    const large = newImage(1024 * 1024 + 200_000);
    const declared = await expectProblem(send(account, large), "image_too_large");
    expect(declared.detail).toContain("/v1/uploads");
    const { readable, writable } = new TransformStream();
    const writer = writable.getWriter();
    // Never closed: the answer must not wait for the end of what is too large already.
    const written = writer.write(large);
    const streamed = request(account, "/v1/analyses", {
      method: "POST",
      body: readable,
      headers: { "content-type": "image/png" },
    });
    await expectProblem(streamed, "image_too_large");
    await written.catch(() => undefined);
  });

  it("refuses an image just over the limit although the envelope would have let it pass", async () => {
    await expectProblem(send(await newAccount(), newImage(1024 * 1024 + 1)), "image_too_large");
  });

  it("refuses beyond the isolate's budget with a time to come back", async () => {
    const account = await newAccount();
    const pending = Array.from({ length: 12 }, () => send(account, newImage(1024 * 1024 - 1000)));
    const answers = await Promise.all(pending);
    const refused = answers.filter((answer) => answer.status === 503);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]?.headers.get("retry-after")).toBe("1");
    for (const answer of answers) if (answer.status !== 503) expect(answer.status).toBe(201);
    expect((await send(account, newImage())).status).toBe(201);
  });

  it("names every field that it does not know", async () => {
    const account = await newAccount();
    const field = await expectProblem(send(account, newImage(), { fields: { colour: "red" } }), "invalid_request");
    expect(field.errors).toEqual([{ path: "colour", message: "is not a field of this request" }]);
    const option = await expectProblem(
      send(account, newImage(), { fields: { options: '{"treshold":0.5,"outputs":["map"]}' } }),
      "invalid_request",
    );
    expect(option.errors?.map((error) => error.path).sort()).toEqual(["options.outputs.0", "options.treshold"]);
    const body = newImage();
    const query = request(account, "/v1/analyses?threshold=0.5", {
      method: "POST",
      body,
      headers: { "content-type": "image/png" },
    });
    expect((await expectProblem(query, "invalid_request")).detail).toContain("threshold");
  });

  it.each([
    ["is broken off", '--x\r\ncontent-disposition: form-data; name="image"\r\n\r\nabc'],
    ["names its parts in no encoding", Uint8Array.from("--x\r\n\xff: y\r\n\r\nabc\r\n--x--", (c) => c.charCodeAt(0))],
    ["has a header without a name", "--x\r\n: y\r\n\r\nabc\r\n--x--"],
    [
      "names a file by half a letter",
      "--x\r\ncontent-disposition: form-data; name=\"image\"; filename*=utf-8''%ff\r\n\r\n",
    ],
  ])("refuses a multipart body that %s", async (_, body) => {
    const response = request(await newAccount(), "/v1/analyses", {
      method: "POST",
      body,
      headers: { "content-type": "multipart/form-data; boundary=x" },
    });
    await expectProblem(response, "invalid_request");
  });
});

describe("GET, cancel, DELETE /v1/analyses/{id}", () => {
  it("answers others' ids as ids that do not exist", async () => {
    const [owner, other] = [await newAccount(), await newAccount()];
    const { id } = await resource(send(owner, newImage()));
    for (const init of [{}, { method: "DELETE" }]) {
      await expectProblem(request(other, `/v1/analyses/${id}`, init), "not_found");
    }
    await expectProblem(request(other, `/v1/analyses/${id}/cancel`, { method: "POST" }), "not_found");
    expect((await request(owner, `/v1/analyses/${id}`)).status).toBe(200);
  });

  it("does not share results between accounts", async () => {
    const image = newImage();
    const runner = await runnerFor(image);
    await send(await newAccount(), image);
    expect(await resource(send(await newAccount(), image))).toMatchObject({ cached: false });
    expect(await runner.calls()).toHaveLength(2);
  });

  it("cancels: ended at once, a late result ignored, canceling again changes nothing", async () => {
    const account = await newAccount();
    const image = newImage();
    const runner = await runnerFor(image, { kind: "hold" });
    const { id } = await resource(send(account, image, { prefer: "wait=0" }));
    await eventually(async () => expect(await runner.calls()).toHaveLength(1));
    const waiting = ended(account, id);
    const first = await resource(request(account, `/v1/analyses/${id}/cancel`, { method: "POST" }));
    expect(first.status).toBe("canceled");
    expect((await waiting).status).toBe("canceled");
    await runner.open();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await resource(request(account, `/v1/analyses/${id}/cancel`, { method: "POST" }))).toEqual(first);
  });

  it("erases everything and answers 410 from then on", async () => {
    const account = await newAccount();
    const { id, files } = await resource(send(account, newImage(), { fields: { metadata: '{"name":"secret"}' } }));
    const key = new URL(files.mask?.url ?? "").pathname.slice("/omni-iml/".length);
    await env.STORAGE.put(key, "a mask");
    await eventually(async () => expect(await storedKeys(`records/${account.id}/`)).toHaveLength(1));
    const response = await request(account, `/v1/analyses/${id}`, { method: "DELETE" });
    expect(response.status).toBe(204);
    expect(await storedKeys(`inputs/${account.id}/`)).toEqual([]);
    expect(await storedKeys(`records/${account.id}/`)).toEqual([]);
    expect(await storedKeys(key)).toEqual([]);
    expect((await expectProblem(request(account, `/v1/analyses/${id}`), "gone")).detail).toContain("deleted");
    expect((await request(account, `/v1/analyses/${id}`, { method: "DELETE" })).status).toBe(204);
  });

  it("erases an analysis that is under way", async () => {
    const account = await newAccount();
    const image = newImage();
    const runner = await runnerFor(image, { kind: "hold" });
    const { id } = await resource(send(account, image, { prefer: "wait=0" }));
    await eventually(async () => expect(await runner.calls()).toHaveLength(1));
    await request(account, `/v1/analyses/${id}`, { method: "DELETE" });
    await runner.open();
    await new Promise((resolve) => setTimeout(resolve, 200));
    await expectProblem(request(account, `/v1/analyses/${id}`), "gone");
    expect(await storedKeys(`inputs/${account.id}/`)).toEqual([]);
    await eventually(async () => expect(await storedKeys(`records/${account.id}/`)).toEqual([]));
  });

  it("expires after its retention", async () => {
    const account = await newAccount();
    const { id, ended_at, expires_at } = await resource(
      send(account, newImage(), { fields: { options: '{"retention_s":3600}' } }),
    );
    expect(Date.parse(expires_at ?? "") - Date.parse(ended_at ?? "")).toBe(3_600_000);
    await ring(id, "erase_input");
    await eventually(async () => expect(await storedKeys(`inputs/${account.id}/`)).toEqual([]));
    expect((await request(account, `/v1/analyses/${id}`)).status).toBe(200);
    await eventually(async () => expect(await storedKeys(`records/${account.id}/`)).toHaveLength(1));
    await ring(id, "expire");
    expect((await expectProblem(request(account, `/v1/analyses/${id}`), "gone")).detail).toContain("expired");
    await eventually(async () => expect(await storedKeys(`records/${account.id}/`)).toEqual([]));
    await ring(id, "forget");
    await eventually(async () => {
      await expectProblem(request(account, `/v1/analyses/${id}`), "not_found");
    });
  });

  it("answers 410 from the moment of expiry, however late the alarm is", async () => {
    const account = await newAccount();
    const { id } = await resource(send(account, newImage()));
    await runInDurableObject(analysisObject(id), (_, state) => {
      state.storage.sql.exec("UPDATE record SET expires_at = ?", Date.now() - 1);
    });
    await expectProblem(request(account, `/v1/analyses/${id}`), "gone");
    await eventually(async () => expect(await storedKeys(`inputs/${account.id}/`)).toEqual([]));
  });

  it("refuses a malformed id by name", async () => {
    await expectProblem(request(await newAccount(), "/v1/analyses/42"), "invalid_request");
  });
});

describe("GET /v1/analyses", () => {
  it("pages through the account's own analyses, newest first, and filters by status", async () => {
    const account = await newAccount();
    const ids: string[] = [];
    for (let i = 0; i < 3; i++) ids.unshift((await resource(send(account, newImage()))).id);
    const bad = newImage();
    await runnerFor(bad, { kind: "problem", problem: problem("image_corrupt") });
    const failed = (await resource(send(account, bad))).id;
    await eventually(async () => {
      const page = await (await request(account, "/v1/analyses?status=failed")).json();
      expect(page).toMatchObject({ data: [{ id: failed, status: "failed" }], next_cursor: null });
    });
    const seen: unknown[] = [];
    let next: string | null = "/v1/analyses?limit=3";
    while (next !== null) {
      const response: Response = await request(account, next);
      const page: { data: { id: string }[] } = await response.json();
      seen.push(...page.data.map((line) => line.id));
      next = /^<([^>]+)>; rel="next"$/.exec(response.headers.get("link") ?? "")?.[1] ?? null;
    }
    expect(seen).toEqual([failed, ...ids]);
    await expectProblem(request(account, "/v1/analyses?state=failed"), "invalid_request");
  });

  it("does not show what was deleted", async () => {
    const account = await newAccount();
    const { id } = await resource(send(account, newImage()));
    await request(account, `/v1/analyses/${id}`, { method: "DELETE" });
    await eventually(async () => {
      expect(await (await request(account, "/v1/analyses")).json()).toMatchObject({ data: [] });
    });
  });
});
