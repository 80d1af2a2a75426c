import { env } from "cloudflare:workers";
import { playgroundQuota, playgroundSession } from "@omni-iml/shared/playground";
import { share } from "@omni-iml/shared/shares";
import { expect, it } from "vitest";
import { createSession, forgetOldSessions } from "../sessions/playground-session.ts";
import {
  ended,
  expectProblem,
  newAccount,
  newImage,
  postJson,
  request,
  resource,
  runnerFor,
  send,
} from "../testing/client.ts";

/** A browser: it keeps the cookie, and says from where it asks. */
async function newBrowser() {
  const response = await request(null, "/v1/playground/session", { method: "POST", headers: own });
  const [cookie = "", ...attributes] = (response.headers.get("set-cookie") ?? "").split("; ");
  const session = playgroundSession.parse(await response.json());
  const ask = (path: string, init: RequestInit & { headers?: Record<string, string> } = {}) =>
    request(null, path, { ...init, headers: { ...own, cookie, ...init.headers } });
  return { cookie, attributes, session, ask };
}

const own = { origin: "http://edge.test", "sec-fetch-site": "same-origin" };
const foreign = { origin: "http://elsewhere.test", "sec-fetch-site": "cross-site" };

const png = (image: Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) => ({
  method: "POST",
  body: image,
  headers: { "content-type": "image/png", prefer: "wait=30", ...headers },
});

it("gives a browser an account of its own, by a cookie that no script can read", async () => {
  const { attributes, session, cookie, ask } = await newBrowser();
  expect(attributes).toEqual(expect.arrayContaining(["HttpOnly", "SameSite=Strict", "Path=/v1"]));
  expect(session).toMatchObject({ quota: { limit: playgroundQuota, remaining: playgroundQuota }, retention_s: 86_400 });
  const again = await ask("/v1/playground/session", { method: "POST" });
  expect(again.headers.get("set-cookie")).toBeNull();
  const other = await newBrowser();
  expect(other.cookie).not.toBe(cookie);
});

it("analyses for the session, keeps it for a day, and shows it to no other", async () => {
  const browser = await newBrowser();
  const analysis = await resource(browser.ask("/v1/analyses", png(newImage())));
  expect(analysis.status).toBe("succeeded");
  const kept = Date.parse(analysis.expires_at ?? "") - Date.parse(analysis.ended_at ?? "");
  expect(kept).toBe(86_400_000);
  expect((await browser.ask(`/v1/analyses/${analysis.id}`)).status).toBe(200);
  await expectProblem((await newBrowser()).ask(`/v1/analyses/${analysis.id}`), "not_found");
});

it("takes the cookie from its own page only", async () => {
  const browser = await newBrowser();
  await expectProblem(browser.ask("/v1/analyses", png(newImage(), foreign)), "forbidden");
  await expectProblem(request(null, "/v1/playground/session", { method: "POST", headers: foreign }), "forbidden");
  // A page on another port of the same machine is same-site but not same-origin.
  const near = { "sec-fetch-site": "same-site", origin: "http://edge.test:81" };
  await expectProblem(browser.ask("/v1/analyses", png(newImage(), near)), "forbidden");
});

it("takes no key from a cookie, and the session's own key from nothing else", async () => {
  const { key } = await newAccount({ operator: true });
  await expectProblem(
    request(null, "/v1/usage", { headers: { ...own, cookie: `omni_playground=${key}` } }),
    "unauthorized",
  );
  const { cookie } = await newBrowser();
  const bearer = `Bearer ${cookie.replace("omni_playground=", "")}`;
  await expectProblem(request(null, "/v1/usage", { headers: { authorization: bearer } }), "unauthorized");
});

it("does one thing: no addresses, webhooks, batches, uploads, keys, or results that are kept longer", async () => {
  const { ask } = await newBrowser();
  const json = (path: string, body: unknown) =>
    ask(path, { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } });
  await expectProblem(json("/v1/analyses", { image_url: "https://example.com/a.jpg" }), "forbidden");
  await expectProblem(json("/v1/batches", { items: [{ image_url: "https://example.com/a.jpg" }] }), "forbidden");
  await expectProblem(json("/v1/uploads", { bytes: 10, content_type: "image/png" }), "forbidden");
  await expectProblem(json("/v1/webhook-endpoints", { url: "https://example.com" }), "forbidden");
  await expectProblem(ask("/v1/api-keys"), "forbidden");
  const longer = encodeURIComponent(JSON.stringify({ retention_s: 86_401 }));
  await expectProblem(ask(`/v1/analyses?options=${longer}`, png(newImage())), "forbidden");
});

it("forgets accounts whose sessions are long over, and no others", async () => {
  const now = Date.now();
  await createSession(env, now - 40 * 86_400_000);
  const { ask } = await newBrowser();
  const count = () =>
    env.DATABASE.prepare("SELECT COUNT(*) AS n FROM accounts WHERE playground = 1").first<{ n: number }>();
  const before = (await count())?.n ?? 0;
  await forgetOldSessions(env, now);
  expect((await count())?.n).toBe(before - 1);
  expect((await ask("/v1/usage")).status).toBe(200);
});

it("serves the page under a policy that names itself and the storage, and nothing else", async () => {
  const response = await request(null, "/");
  expect(response.headers.get("content-type")).toContain("text/html");
  const policy = response.headers.get("content-security-policy") ?? "";
  expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
  expect(policy).toContain("connect-src 'self' http://storage.test;");
  expect(policy).not.toContain("unsafe");
  expect(response.headers.get("referrer-policy")).toBe("no-referrer");
  expect(response.headers.get("x-content-type-options")).toBe("nosniff");
  expect(response.headers.get("x-frame-options")).toBe("SAMEORIGIN");
  expect(response.headers.get("strict-transport-security")).toContain("max-age=");
  expect(await response.text()).toContain('<script type="module"');
});

it("shares one analysis by a link, without what is the owner's own, until it is revoked", async () => {
  const account = await newAccount();
  const { id } = await resource(send(account, newImage(), { fields: { metadata: '{"case":"17"}' } }));
  await postJson(account, `/v1/analyses/${id}/feedback`, { finding: "right", comment: "mine" });
  const made = () => request(account, `/v1/analyses/${id}/share`, { method: "POST" });
  const { token, url } = share.parse(await (await made()).json());
  expect(url).toBe(`/#/shared/${token}`);
  expect(await (await made()).json()).toMatchObject({ token });
  const shown = await resource(request(null, `/v1/shared/${token}`));
  expect(shown).toMatchObject({ id, status: "succeeded", metadata: {}, feedback: null, input: { filename: null } });
  expect(shown.files.probability?.url).toContain("probability.png");
  const image = await request(null, `/v1/shared/${token}/input`, { redirect: "manual" });
  expect(image.status).toBe(302);
  expect(image.headers.get("location")).toContain(`inputs/${account.id}/${id}`);

  expect((await request(account, `/v1/analyses/${id}/share`, { method: "DELETE" })).status).toBe(204);
  await expectProblem(request(null, `/v1/shared/${token}`), "not_found");
  await expectProblem(request(null, `/v1/shared/${token}/input`), "not_found");
  const next = share.parse(await (await made()).json());
  expect(next.token).not.toBe(token);
});

it("ends a link with its analysis, and gives nothing away about tokens that are none", async () => {
  const account = await newAccount();
  const { id } = await resource(send(account, newImage()));
  const { token } = share.parse(await (await request(account, `/v1/analyses/${id}/share`, { method: "POST" })).json());
  const guessed = token.slice(0, -1) + (token.endsWith("0") ? "1" : "0");
  const refused = await expectProblem(request(null, `/v1/shared/${guessed}`), "not_found");
  await request(account, `/v1/analyses/${id}`, { method: "DELETE" });
  expect((await expectProblem(request(null, `/v1/shared/${token}`), "not_found")).detail).toBe(refused.detail);
  await expectProblem(request(account, `/v1/analyses/${id}/share`, { method: "POST" }), "gone");
  const stranger = await newAccount();
  await expectProblem(request(stranger, `/v1/analyses/${id}/share`, { method: "POST" }), "not_found");
});

it("shows a link of an analysis that is under way where it has come by now", async () => {
  const account = await newAccount();
  const image = newImage();
  const runner = await runnerFor(image, { kind: "hold" });
  const { id } = await resource(send(account, image, { prefer: "wait=0" }));
  const { token } = share.parse(await (await request(account, `/v1/analyses/${id}/share`, { method: "POST" })).json());
  expect((await resource(request(null, `/v1/shared/${token}`))).ended_at).toBeNull();
  await runner.open();
  await ended(account, id);
  expect((await resource(request(null, `/v1/shared/${token}`))).status).toBe("succeeded");
});
