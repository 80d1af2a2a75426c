import { describe, expect, it } from "vitest";
import { newAccount, request } from "../testing/client.ts";

const origin = "https://newsroom.example";

describe("a page of another origin", () => {
  it("is told, without a key, that it may send what the API takes", async () => {
    const asked = {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization,content-type,idempotency-key,prefer",
    };
    const answer = await request(null, "/v1/analyses", { method: "OPTIONS", headers: asked });
    expect(answer.status).toBe(204);
    expect(answer.headers.get("access-control-allow-origin")).toBe("*");
    expect(answer.headers.get("access-control-allow-methods")?.split(",")).toContain("POST");
    const headers = answer.headers.get("access-control-allow-headers")?.split(",");
    expect(headers).toEqual(expect.arrayContaining(["authorization", "content-type", "idempotency-key", "prefer"]));
  });

  it("may read answers and refusals with their headers, and never with cookies", async () => {
    const account = await newAccount();
    for (const [who, status] of [
      [account, 200],
      [null, 401],
    ] as const) {
      const answer = await request(who, "/v1/analyses", { headers: { origin } });
      expect(answer.status).toBe(status);
      expect(answer.headers.get("access-control-allow-origin")).toBe("*");
      expect(answer.headers.get("access-control-allow-credentials")).toBeNull();
      expect(answer.headers.get("access-control-expose-headers")).toContain("ratelimit");
    }
  });

  it("sees nothing of what is no part of the API", async () => {
    const answer = await request(null, "/metrics", { headers: { origin } });
    expect(answer.headers.get("access-control-allow-origin")).toBeNull();
  });
});
