/** Held to the `standardwebhooks` package as an independent sender. */
import { analysisExample } from "@omni-iml/shared/examples";
import { newWebhookSecret } from "@omni-iml/shared/webhook-signature";
import { Webhook } from "standardwebhooks";
import { describe, expect, it } from "vitest";
import { OmniIml, unwrapWebhook, WebhookVerificationError } from "./index.ts";

const secret = newWebhookSecret();
const body = JSON.stringify({
  type: "analysis.succeeded",
  timestamp: "2026-11-24T09:30:01.420Z",
  data: { ...analysisExample, explanation: "überarbeitet ✓" },
});

function headersOf(signed = body, at = new Date(), by = secret): Record<string, string> {
  return {
    "webhook-id": "ev_1",
    "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": new Webhook(by).sign("ev_1", at, signed),
  };
}

describe("unwrapWebhook", () => {
  it("gives the message, by fetch's headers and by Node's, as text and as bytes", async () => {
    const message = await unwrapWebhook(body, new Headers(headersOf()), secret);
    expect(message).toMatchObject({ type: "analysis.succeeded", data: { id: analysisExample.id } });
    if (message.type === "analysis.succeeded") expect(message.data.explanation).toBe("überarbeitet ✓");
    const upperCase = Object.fromEntries(
      Object.entries(headersOf()).map(([name, value]) => [name.toUpperCase(), value]),
    );
    expect(await unwrapWebhook(new TextEncoder().encode(body), upperCase, secret)).toEqual(message);
  });

  it("takes one right signature among several, as while a secret is rotated", async () => {
    const other = headersOf(body, new Date(), newWebhookSecret())["webhook-signature"];
    const both = { ...headersOf(), "webhook-signature": `v1a,abc ${other} ${headersOf()["webhook-signature"]}` };
    expect(await unwrapWebhook(body, both, secret)).toMatchObject({ type: "analysis.succeeded" });
  });

  it.each([
    ["another body", body.replace("tampered", "authentic"), headersOf()],
    ["another secret", body, headersOf(body, new Date(), newWebhookSecret())],
    ["an old message", body, headersOf(body, new Date(Date.now() - 301_000))],
    ["a message from the future", body, headersOf(body, new Date(Date.now() + 302_000))],
    ["another id", body, { ...headersOf(), "webhook-id": "ev_2" }],
    ["no signature", body, { "webhook-id": "ev_1", "webhook-timestamp": String(Math.floor(Date.now() / 1000)) }],
    ["a signature that is none", body, { ...headersOf(), "webhook-signature": "v1,%%% v1" }],
    ["signed text that is no message", "[]", headersOf("[]")],
    ["signed text that is no JSON", "{", headersOf("{")],
  ])("refuses %s", async (_, sent, headers) => {
    await expect(unwrapWebhook(sent, headers, secret)).rejects.toBeInstanceOf(WebhookVerificationError);
  });

  it("is the client's with the client's secret", async () => {
    const config = { apiKey: "omni_test", baseUrl: "http://127.0.0.1:1" };
    const client = new OmniIml({ ...config, webhookSecret: secret });
    expect(await client.webhooks.unwrap(body, headersOf())).toMatchObject({ type: "analysis.succeeded" });
    await expect(new OmniIml(config).webhooks.unwrap(body, headersOf())).rejects.toBeInstanceOf(TypeError);
  });
});
