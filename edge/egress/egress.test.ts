import { env } from "cloudflare:workers";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { settings } from "../environment.ts";
import { outside } from "../testing/client.ts";
import { insideUrls } from "../testing/inside-addresses.ts";
import { checkWebhookAddress } from "../webhooks/address.ts";
import { type EgressReason, type EgressRequest, egress } from "./egress.ts";

type Get = Partial<Extract<EgressRequest, { method: "GET" }>>;

/** GET with limits that no test runs into unless it wants to. */
function get(url: string, more: Get = {}) {
  return egress(settings(env), { method: "GET", url, timeout: 10_000, maxBytes: 1000, redirects: 2, ...more });
}

async function expectReason(work: Promise<unknown>, reason: EgressReason) {
  await expect(work).rejects.toMatchObject({ name: "EgressError", reason });
}

const letters = new TextEncoder().encode("abcdefghij");

describe("an address outside", () => {
  it("is read, whatever length it names", async () => {
    const named = await outside({ body: letters, headers: { "content-length": "10", "content-type": "image/png" } });
    const answer = await get(named.url);
    expect(answer).toMatchObject({ status: 200, url: named.url, length: 10 });
    expect(await answer.read()).toEqual(letters);
    const chunked = await get((await outside({ body: letters })).url);
    expect(chunked.length).toBeNull();
    expect(await chunked.read()).toEqual(letters);
  });

  it("may answer with any status", async () => {
    expect((await get((await outside({ status: 500, body: letters })).url)).status).toBe(500);
    expect((await get((await outside({ status: 204 })).url)).status).toBe(204);
  });

  it("gets a POST as it was given, and a redirect is its answer", async () => {
    const { url, calls } = await outside({ status: 307, headers: { location: "/elsewhere" } });
    const headers = { "content-type": "application/json", "webhook-id": "msg_1" };
    const limits = { timeout: 10_000, maxBytes: 1000 };
    const answer = await egress(settings(env), { method: "POST", url, headers, body: '{"a":"ü"}', ...limits });
    expect(answer.status).toBe(307);
    expect(await calls()).toMatchObject([{ method: "POST", headers, body: '{"a":"ü"}' }]);
  });
});

describe("redirects", () => {
  it("are followed by hand, so many and no more", async () => {
    const end = await outside({ body: letters });
    const second = await outside({ status: 302, headers: { location: end.url } });
    const first = await outside({ status: 301, headers: { location: new URL(second.url).pathname } });
    const answer = await get(first.url);
    expect(answer.url).toBe(end.url);
    expect(await answer.read()).toEqual(letters);
    await expectReason(get(first.url, { redirects: 1 }), "too_many_redirects");
  });

  it.each(["http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "http://[fd00:ec2::254]/"])(
    "to %s are refused",
    async (location) => {
      const { url } = await outside({ status: 302, headers: { location } });
      await expectReason(get(url), "address_refused");
    },
  );

  it("to another scheme are refused", async () => {
    const { url } = await outside({ status: 302, headers: { location: "file:///etc/passwd" } });
    await expectReason(get(url), "invalid_address");
  });
});

describe("limits", () => {
  it("end a body that is too long, by its named length and while reading", async () => {
    const named = await outside({ body: letters, headers: { "content-length": "10" } });
    await expectReason(get(named.url, { maxBytes: 9 }), "too_large");
    const answer = await get((await outside({ body: letters })).url, { maxBytes: 9 });
    await expectReason(answer.read(), "too_large");
  });

  it("end what takes too long, before the headers and in the middle of the body", async () => {
    const late = await outside({ body: letters, delay: 5_000 });
    await expectReason(get(late.url, { timeout: 300 }), "timed_out");
    const slow = await outside({ body: letters, delay: 700 });
    await expectReason(
      get(slow.url, { timeout: 1_000 }).then((answer) => answer.read()),
      "timed_out",
    );
  });

  it("refuse a type that is not wanted before its body is read", async () => {
    const { url } = await outside({ body: letters, headers: { "content-type": "Text/HTML; charset=utf-8" } });
    await expectReason(get(url, { accepts: (type) => type !== "text/html" }), "unwanted_type");
  });
});

describe("addresses that are refused", () => {
  it.each(["ftp://example.com/a.jpg", "not an address", "https://user:pass@example.com/"])("%s", async (url) => {
    await expectReason(get(url), "invalid_address");
  });

  const production = settings({ ...env, EGRESS_PROXY_URL: "" });

  it.each(insideUrls)("%s, by the worker itself where the platform's fetch is the way out", async (url) => {
    const limits = { timeout: 5_000, maxBytes: 10, redirects: 0 };
    const refusal = expect(egress(production, { method: "GET", url, ...limits })).rejects;
    await refusal.toMatchObject({ reason: expect.stringMatching(/^(address_refused|invalid_address)$/) });
  });

  // What a header cannot hold is no redirect.
  const locations = insideUrls.filter((url) => /^[!-~]+$/.test(url));

  it.each([...locations, "//169.254.169.254/", "///10.0.0.1/", "\\\\10.0.0.1\\", "https://me:secret@example.com/"])(
    "%s, by the worker itself where a public address leads there",
    async (location) => {
      const platform = vi
        .spyOn(globalThis, "fetch")
        .mockImplementation(async () => new Response(null, { status: 302, headers: { location } }));
      onTestFinished(() => platform.mockRestore());
      const limits = { timeout: 5_000, maxBytes: 10, redirects: 3 };
      const refusal = expect(egress(production, { method: "GET", url: "https://example.com/", ...limits })).rejects;
      await refusal.toMatchObject({ reason: expect.stringMatching(/^(address_refused|invalid_address)$/) });
      expect(platform).toHaveBeenCalledTimes(1);
    },
  );

  it.each(insideUrls)("%s as a webhook's", (url) => {
    const https = url.replace("http:", "https:");
    for (const address of [url, https]) {
      expect(() => checkWebhookAddress(production, address, "url")).toThrow(/^url: must|not a public address/);
    }
  });

  it("is not what a proxy is called that does not answer", async () => {
    const lost = settings({ ...env, EGRESS_PROXY_URL: "http://127.0.0.1:9" });
    const limits = { timeout: 5_000, maxBytes: 10, redirects: 0 };
    await expectReason(egress(lost, { method: "GET", url: "http://example.com/", ...limits }), "egress_unavailable");
  });
});
