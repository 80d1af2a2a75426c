/** Held to Node's own HMAC as an independent signer. */
import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import { signatureTolerance, signedHeaders, verifySignature } from "./signature.ts";

const secret = "a secret between two parts of the service";
const parts = { method: "POST", path: "/v1/infer", body: '{"text":"ünicode"}' };
const seconds = 1_800_000_000;
const now = seconds * 1000;

const mac = (by = secret, timestamp = String(seconds)) =>
  createHmac("sha256", by).update(`${parts.method}\n${parts.path}\n${timestamp}\n${parts.body}`).digest("hex");
const verified = (timestamp: string, signature: string, at = now) =>
  verifySignature(secret, parts, new Headers({ "omni-timestamp": timestamp, "omni-signature": signature }), at);

describe("a signature", () => {
  it("is what anybody with the secret would make, and is taken", async () => {
    const headers = await signedHeaders(secret, parts, now + 999);
    expect(headers).toEqual({ "omni-timestamp": String(seconds), "omni-signature": `v1=${mac()}` });
    expect(await verified(String(seconds), `v1=${mac()}`)).toBe(true);
  });

  it("is one among several while a secret is rotated", async () => {
    expect(await verified(String(seconds), `v1=${mac("the one before")} v1=${mac()}`)).toBe(true);
    expect(await verified(String(seconds), `v1=${mac("the one before")} v1=${mac("another")}`)).toBe(false);
  });

  it("is good for some minutes before and after", async () => {
    for (const [drift, good] of [
      [signatureTolerance, true],
      [signatureTolerance + 1, false],
      [-signatureTolerance, true],
      [-signatureTolerance - 1, false],
    ] as const) {
      expect(await verified(String(seconds), `v1=${mac()}`, now + drift * 1000), `${drift} s`).toBe(good);
    }
  });

  it.each([
    ["another scheme", `v2=${mac()}`],
    ["none", mac()],
    ["upper case", `v1=${mac().toUpperCase()}`],
    ["half of it", `v1=${mac().slice(0, 32)}`],
    ["more than it", `v1=${mac()}00`],
    ["nothing", ""],
  ])("is nothing else: %s", async (_, signature) => {
    expect(await verified(String(seconds), signature)).toBe(false);
  });

  // Each is the same number: whoever saw a request could send it under as many names as a number has spellings.
  it.each(["01800000000", "1800000000.0", "1.8e9", "18e8", "+1800000000", "0x6b49d200", "1_800_000_000", "-0", ""])(
    "has its time in one spelling, and not as %s",
    async (spelling) => {
      for (const signature of [mac(), mac(secret, spelling)]) {
        expect(await verified(spelling, `v1=${signature}`)).toBe(false);
      }
    },
  );
});
