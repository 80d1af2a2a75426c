import { env } from "cloudflare:workers";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { hashSecret, newApiKey, parseApiKey, sameHash } from "../accounts/api-key.ts";
import { addressOf } from "../sessions/playground-session.ts";
import {
  eventually,
  expectProblem,
  newAccount,
  newImage,
  request,
  resource,
  runnerFor,
  send,
} from "../testing/client.ts";

describe("API keys", () => {
  it("consist of a look-up part and a secret of which only the hash is known", async () => {
    const { key, lookup, secretSha256 } = await newApiKey();
    const parts = parseApiKey(key);
    expect(parts?.lookup).toBe(lookup);
    expect(await hashSecret(parts?.secret ?? "")).toBe(secretSha256);
    expect(parseApiKey(`${key}x`)).toBeNull();
    expect(parseApiKey(key.replace("omni_live", "omni_test"))).toBeNull();
  });

  it("compare whole hashes", () => {
    expect(sameHash("abc", "abc")).toBe(true);
    expect(sameHash("abc", "abd")).toBe(false);
    expect(sameHash("abc", "abcd")).toBe(false);
    expect(sameHash("", "abc")).toBe(false);
  });

  it("take as many steps to compare wherever two hashes differ", () => {
    const hash = "0123456789abcdef".repeat(4);
    const steps = (other: string) => {
      const looks = vi.spyOn(String.prototype, "charCodeAt");
      sameHash(hash, other);
      const { length } = looks.mock.calls;
      looks.mockRestore();
      return length;
    };
    const whole = steps(hash);
    expect(whole).toBe(2 * hash.length);
    expect(steps(`x${hash.slice(1)}`)).toBe(whole);
    expect(steps(`${hash.slice(0, -1)}x`)).toBe(whole);
    expect(steps("x".repeat(hash.length))).toBe(whole);
  });
});

describe("authentication", () => {
  const path = "/v1/analyses";

  it("asks for a key where there is none", async () => {
    const response = await request(null, path);
    expect(response.headers.get("www-authenticate")).toBe('Bearer realm="omni-iml"');
    await expectProblem(response, "unauthorized");
  });

  it("refuses a wrong secret, an unknown key, an expired and a revoked one in the same words", async () => {
    const account = await newAccount();
    const { key } = await newApiKey();
    const expired = await newAccount({ expiresAt: Date.now() - 1 });
    const revoked = await newAccount();
    await env.DATABASE.prepare("UPDATE api_keys SET revoked_at = 1 WHERE account_id = ?").bind(revoked.id).run();
    const wrong = { ...account, key: account.key.slice(0, -1) + (account.key.endsWith("0") ? "1" : "0") };
    const details = await Promise.all(
      [wrong, { id: "", key }, expired, revoked].map(
        async (who) => (await expectProblem(request(who, path), "unauthorized")).detail,
      ),
    );
    expect(new Set(details).size).toBe(1);
    expect((await request(account, path)).status).toBe(200);
  });

  it("does as much for a key that nobody has as for a wrong secret", async () => {
    const account = await newAccount();
    const { key } = await newApiKey();
    const wrong = account.key.slice(0, -1) + (account.key.endsWith("0") ? "1" : "0");
    const hashes = vi.spyOn(crypto.subtle, "digest");
    onTestFinished(() => hashes.mockRestore());
    const work = async (asked: string) => {
      hashes.mockClear();
      await expectProblem(request({ id: "", key: asked }, path), "unauthorized");
      return hashes.mock.calls.length;
    };
    expect([await work(wrong), await work(key), await work("sesame")]).toEqual([1, 1, 1]);
  });

  it("slows down an address that goes on without a valid key, and nobody else", async () => {
    const account = await newAccount();
    const from = (address: string, who: { id: string; key: string } | null = null) =>
      request(who, "/v1/models", { headers: { "cf-connecting-ip": address } });
    let tries = 0;
    let last: Response;
    // The count begins anew each minute, which may be in the middle of this.
    do {
      last = await from("203.0.113.7");
      tries++;
    } while (last.status === 401 && tries < 700);
    expect(tries).toBeGreaterThan(300);
    expect(last.headers.get("retry-after")).toBe("60");
    await expectProblem(last, "rate_limited");
    expect((await from("203.0.113.7", account)).status).toBe(200);
    expect((await from("203.0.113.8")).status).toBe(401);
  });

  it.each([
    ["203.0.113.7", "203.0.113.7"],
    ["::ffff:203.0.113.7", "203.0.113.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8:1:2::99", "2001:db8:1:2::/64"],
    ["2001:db8:1:3::99", "2001:db8:1:3::/64"],
    ["an address", "an address"],
  ])("counts %s as %s", (address, counted) => {
    const asking = new Request("http://edge.test/", { headers: { "cf-connecting-ip": address } });
    expect(addressOf(asking)).toBe(counted);
  });

  it("notes when a key was last used", async () => {
    const account = await newAccount();
    await request(account, path);
    await eventually(async () => {
      const row = await env.DATABASE.prepare("SELECT last_used_at FROM api_keys WHERE account_id = ?")
        .bind(account.id)
        .first<{ last_used_at: number }>();
      expect(row?.last_used_at).toBeGreaterThan(Date.now() - 10_000);
    });
  });

  it("lets a key do only what its scopes say", async () => {
    const reader = await newAccount({ scopes: "read" });
    expect((await request(reader, path)).status).toBe(200);
    expect((await expectProblem(send(reader, newImage()), "forbidden")).detail).toContain("write");
  });
});

describe("limits", () => {
  it("says how many requests are left, and refuses beyond", async () => {
    const account = await newAccount({ requestsPerMinute: 2 });
    const first = await request(account, "/v1/models");
    expect(first.headers.get("ratelimit-policy")).toContain('"requests";q=2;w=60');
    expect(first.headers.get("ratelimit")).toMatch(/^"requests";r=1;t=\d+,/);
    await request(account, "/v1/models");
    const third = await request(account, "/v1/models");
    expect(Number(third.headers.get("retry-after"))).toBeGreaterThan(20);
    expect(third.headers.get("ratelimit")).toMatch(/^"requests";r=0;/);
    await expectProblem(third, "rate_limited");
  });

  it("holds an account to its analyses under way, until one ends", async () => {
    const account = await newAccount({ inFlight: 1 });
    const image = newImage();
    const runner = await runnerFor(image, { kind: "hold" });
    await send(account, image, { prefer: "wait=0" });
    await expectProblem(send(account, newImage()), "too_many_in_flight");
    await runner.open();
    await eventually(async () => expect((await send(account, newImage())).status).toBe(201));
  });

  it("holds an account to its quota; what was refused does not count", async () => {
    const account = await newAccount({ quota: 2 });
    await expectProblem(send(account, "text"), "unsupported_media_type");
    expect((await send(account, newImage())).status).toBe(201);
    expect((await send(account, newImage())).status).toBe(201);
    await expectProblem(send(account, newImage()), "quota_exceeded");
  });
});

describe("every answer", () => {
  it("has a name that a problem repeats", async () => {
    const response = await request(null, "/nothing/here");
    const document = await expectProblem(response.clone(), "not_found");
    expect(document.instance).toBe(response.headers.get("omni-request-id"));
  });

  it("tells a browser to run nothing, to guess no type, to tell nobody, and to keep nothing", async () => {
    const account = await newAccount();
    for (const path of ["/v1/analyses", "/v1/nothing", "/healthz"]) {
      const { headers } = await request(account, path);
      expect(headers.get("content-security-policy")).toBe(
        "default-src 'none'; style-src 'self'; frame-ancestors 'none'",
      );
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("x-frame-options")).toBe("SAMEORIGIN");
      expect(headers.get("referrer-policy")).toBe("no-referrer");
      expect(headers.get("strict-transport-security")).toContain("max-age=");
      expect(headers.get("cache-control")).toBe("no-store");
    }
  });

  it("says which methods an address has", async () => {
    const account = await newAccount();
    const response = await request(account, "/v1/analyses", { method: "PATCH" });
    expect(response.headers.get("allow")).toBe("POST, GET, HEAD");
    await expectProblem(response, "method_not_allowed");
  });

  it("tells what is served", async () => {
    const account = await newAccount();
    const models = await (await request(account, "/v1/models")).json();
    expect(models).toMatchObject({ data: [{ object: "model", name: "omni-iml", precision: "fp32" }] });
    const analysis = await resource(send(account, newImage()));
    expect(models).toMatchObject({ data: [{ release: analysis.model?.release }] });
  });
});
