/** Properties of what strangers' texts and bytes come upon first: the JPEG reader, signatures, ids that are cursors. */
import { unwrapWebhook } from "@omni-iml/sdk";
import { idSchema } from "@omni-iml/shared/ids";
import { Problem } from "@omni-iml/shared/problems";
import { signatureTolerance, signedHeaders, verifySignature } from "@omni-iml/shared/signature";
import { newWebhookSecret, webhookSignature } from "@omni-iml/shared/webhook-signature";
import fc from "fast-check";
import { parseApiKey } from "../../edge/accounts/api-key.ts";
import { childSpan } from "../../edge/trace.ts";
import { readHeader } from "../../gpu-runner/image/header.ts";
import { readJpegStructure } from "../../gpu-runner/image/jpeg.ts";

/** Resolves, or rejects with the counterexample. */
export interface Property {
  name: string;
  runs: number;
  check: (runs: number, seed: number) => Promise<void>;
}

const bytes = fc.uint8Array({ maxLength: 300 });

/** A segment whose length may lie. */
const segment = fc
  .record({
    marker: fc.integer({ min: 0xc0, max: 0xff }),
    body: bytes,
    lie: fc.option(fc.integer({ min: 0, max: 65_535 })),
  })
  .map(({ marker, body, lie }) => {
    const length = lie ?? body.length + 2;
    return Buffer.concat([Buffer.from([0xff, marker, length >> 8, length & 255]), body]);
  });
const jpeg = fc
  .array(segment, { maxLength: 12 })
  .map((segments) => new Uint8Array(Buffer.concat([Buffer.from("ffd8", "hex"), ...segments])));

function headerOrProblem(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
  }
}

const magic = fc.constantFrom(
  "ffd8ff",
  "89504e470d0a1a0a",
  "524946461000000057454250",
  "49492a0008000000",
  "4d4d002b0008000000000000",
  "0000001866747970617669660000000061766966",
  "0000001866747970686569630000000068656963",
);
const secret = "a secret of more than enough length";
const text = fc.string({ maxLength: 200 });

export const properties: readonly Property[] = [
  {
    name: "JPEG segments of any kind and length",
    runs: 3_000,
    check: (numRuns, seed) =>
      fc.assert(
        fc.asyncProperty(jpeg, async (file) => headerOrProblem(() => readJpegStructure(file))),
        { numRuns, seed },
      ),
  },
  {
    name: "any bytes behind any format's first ones",
    runs: 3_000,
    check: (numRuns, seed) =>
      fc.assert(
        fc.asyncProperty(magic, bytes, async (start, rest) =>
          headerOrProblem(() => readHeader(new Uint8Array(Buffer.concat([Buffer.from(start, "hex"), rest])))),
        ),
        { numRuns, seed },
      ),
  },
  {
    name: "the runner's signature: no other body, path, method, time or secret passes",
    runs: 500,
    check: (numRuns, seed) =>
      fc.assert(
        fc.asyncProperty(text, text, fc.integer({ min: -10_000, max: 10_000 }), async (body, other, drift) => {
          const parts = { method: "POST", path: "/v1/infer", body };
          const now = 1_800_000_000_000;
          const headers = new Headers(await signedHeaders(secret, parts, now));
          const passes = await verifySignature(secret, parts, headers, now + drift * 1000);
          if (passes !== Math.abs(drift) <= signatureTolerance) throw new Error(`${drift} s off: ${passes}`);
          const changed = [
            { ...parts, body: `${body}${other}x` },
            { ...parts, path: `/v1/infer${encodeURIComponent(other)}x` },
            { ...parts, method: "PUT" },
          ];
          for (const part of changed) if (await verifySignature(secret, part, headers, now)) throw new Error("passed");
          if (await verifySignature(`${secret}x`, parts, headers, now)) throw new Error("another secret passed");
        }),
        { numRuns, seed },
      ),
  },
  {
    name: "the runner's signature: rubbish in its headers is refused in silence",
    runs: 1_000,
    check: (numRuns, seed) =>
      fc.assert(
        fc.asyncProperty(text, text, async (timestamp, signature) => {
          const headers = { get: (name: string) => (name === "omni-timestamp" ? timestamp : signature) };
          if (await verifySignature(secret, { method: "POST", path: "/", body: "" }, headers))
            throw new Error("passed");
        }),
        { numRuns, seed },
      ),
  },
  {
    name: "webhooks' signatures: no other body, id or secret passes, and rubbish is an error of one kind",
    runs: 500,
    check: (numRuns, seed) =>
      fc.assert(
        fc.asyncProperty(text, text, text, async (body, other, rubbish) => {
          const [key, stranger] = [newWebhookSecret(), newWebhookSecret()];
          const timestamp = 1_800_000_000;
          const signature = await webhookSignature(key, { id: "ev_1", timestamp, body });
          const headers = {
            "webhook-id": "ev_1",
            "webhook-timestamp": String(timestamp),
            "webhook-signature": signature,
          };
          const refused = async (sent: string, sentHeaders: Record<string, string>, by: string) => {
            const error = await unwrapWebhook(sent, sentHeaders, by, timestamp * 1000).catch(
              (reason: unknown) => reason,
            );
            if (!(error instanceof Error) || error.name !== "WebhookVerificationError") throw new Error(`got ${error}`);
          };
          await refused(`${body}${other}x`, headers, key);
          await refused(body, { ...headers, "webhook-id": "ev_2" }, key);
          await refused(body, headers, stranger);
          await refused(body, { ...headers, "webhook-signature": rubbish }, key);
          await refused(body, { ...headers, "webhook-timestamp": rubbish }, key);
        }),
        { numRuns, seed },
      ),
  },
  {
    name: "ids, which are the cursors of lists: nothing but an id is one",
    runs: 3_000,
    check: (numRuns, seed) => {
      const schema = idSchema("analysis");
      const near = fc.stringMatching(/^an_[0-9a-z]{20,30}[^a-z]?$/);
      return fc.assert(
        fc.asyncProperty(fc.oneof(text, near), async (candidate) => {
          const taken = schema.safeParse(candidate).success;
          if (taken && !/^an_[0-9abcdefghjkmnpqrstvwxyz]{26}$/.test(candidate)) throw new Error("was taken for an id");
          if (taken && /['"%;\s\0/\\]/.test(candidate)) throw new Error("holds what has a meaning elsewhere");
        }),
        { numRuns, seed },
      );
    },
  },
  {
    name: "API keys and trace headers: any text is read without an error",
    runs: 3_000,
    check: (numRuns, seed) =>
      fc.assert(
        fc.asyncProperty(text, async (candidate) => {
          parseApiKey(candidate);
          parseApiKey(`omni_live_${candidate}`);
          if (!/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/.test(childSpan(candidate))) throw new Error("not a traceparent");
        }),
        { numRuns, seed },
      ),
  },
];
