/**
 * Requests that nobody means well by: whatever is in body, headers, query or path, the answer is a result or a problem,
 * never a 5xx. Properties, with their counterexamples; `npm run test:contract` asks the same of a whole stack.
 */
import { problemDocument } from "@omni-iml/shared/problems";
import fc from "fast-check";
import { beforeAll, expect, it } from "vitest";
import { newAccount, newImage, request, type TestAccount } from "../testing/client.ts";

let account: TestAccount;
beforeAll(async () => {
  account = await newAccount({
    scopes: "read write admin",
    requestsPerMinute: 1_000_000,
    inFlight: 10_000,
    quota: 10_000,
  });
});

async function expectAnswer(answer: Response | Promise<Response>): Promise<void> {
  const response = await answer;
  if (response.status < 400) {
    await response.body?.cancel();
    return;
  }
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  const problem = problemDocument.parse(await response.json());
  expect(problem.status).toBe(response.status);
  // Full, perhaps; broken, never.
  if (response.status >= 500) expect(problem.code).toBe("overloaded");
}

const check = <Value>(values: fc.Arbitrary<Value>, ask: (value: Value) => Promise<Response>, numRuns = 150) =>
  fc.assert(
    fc.asyncProperty(values, (value) => expectAnswer(ask(value))),
    { numRuns },
  );

const encoder = new TextEncoder();

/** A form as a client sends it, in the pieces that mutations cut, repeat and replace. */
function formPieces(): Uint8Array[] {
  const text = (...lines: string[]) => encoder.encode(lines.join("\r\n"));
  return [
    text("--x", 'content-disposition: form-data; name="options"', "", '{"threshold":0.3}', ""),
    text("--x", 'content-disposition: form-data; name="image"; filename="a.png"', "content-type: image/png", "", ""),
    newImage(80),
    text("", "--x", 'content-disposition: form-data; name="metadata"', "", '{"a":"b"}', ""),
    text("--x--", ""),
  ];
}

function joined(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

const edit = fc.record({
  at: fc.nat(400),
  cut: fc.nat(40),
  put: fc.oneof(
    fc.uint8Array({ maxLength: 20 }),
    fc
      .constantFrom(
        "--x\r\n",
        "\r\n\r\n",
        'name="image"',
        "filename*=utf-8''%ff",
        '"',
        "\0",
        "--x--",
        'name="__proto__"',
      )
      .map((text) => encoder.encode(text)),
  ),
});

it("forms that are cut, repeated, mixed up", async () => {
  const types = fc.constantFrom(
    ...["multipart/form-data; boundary=x", 'multipart/form-data; boundary="x"', "multipart/form-data; boundary=y"],
    ...["multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=x"],
  );
  const orders = fc.array(fc.nat(4), { minLength: 1, maxLength: 8 });
  await check(fc.tuple(types, orders, fc.array(edit, { maxLength: 4 })), ([type, order, edits]) => {
    const pieces = formPieces();
    let body = joined(order.map((n) => pieces[n] ?? new Uint8Array()));
    for (const { at, cut, put } of edits) body = joined([body.subarray(0, at), put, body.subarray(at + cut)]);
    const headers = { "content-type": type };
    return request(account, "/v1/analyses", { method: "POST", body, headers });
  });
});

const jsonRoutes = fc.constantFrom(
  ...["/v1/analyses", "/v1/uploads", "/v1/batches", "/v1/webhook-endpoints", "/v1/api-keys", "/v1/accounts"],
  ...[
    "/v1/analyses/an_01kaw4v3r8h7t2m9c5x1q6zd0e/feedback",
    "/v1/webhook-endpoints/wh_01kaw4v3r8h7t2m9c5x1q6zd0e/test",
  ],
);

/** Fields that there are, with values that they cannot have. */
const nearlyRight = fc
  .dictionary(
    fc.constantFrom(
      ...["image_url", "upload_id", "options", "metadata", "webhook", "bytes", "content_type", "filename", "items"],
      ...["url", "events", "name", "scopes", "finding", "comment", "__proto__", "constructor", "toString"],
    ),
    fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.constantFrom("http://[::1", "\ud800", 1e308, -0, "x".repeat(5_000))),
  )
  .map((value) => JSON.stringify(value));

it("JSON that is none, or not what is asked for", async () => {
  const bodies = fc.oneof(
    nearlyRight,
    fc.json({ maxDepth: 4 }),
    fc.string({ maxLength: 60 }),
    fc.constantFrom("{", "\ufeff{}"),
  );
  await check(fc.tuple(jsonRoutes, bodies), ([path, body]) =>
    request(account, path, { method: "POST", body, headers: { "content-type": "application/json" } }),
  );
});

it("JSON that is nested 100,000 times, or that names a field as often", async () => {
  const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
  const objects = `${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}`;
  const wide = `{${Array.from({ length: 50_000 }, (_, n) => `"k${n}":${n}`).join(",")}}`;
  for (const value of [deep, objects, wide]) {
    for (const body of [value, `{"metadata":${value}}`, `{"items":[${value}]}`]) {
      for (const path of ["/v1/analyses", "/v1/batches", "/v1/uploads"]) {
        const headers = { "content-type": "application/json" };
        await expectAnswer(request(account, path, { method: "POST", body, headers }));
      }
    }
  }
});

const printable = fc.stringMatching(/^[ -~]{0,80}$/);

it("headers of any text", async () => {
  const name = fc.constantFrom(
    ...["prefer", "idempotency-key", "last-event-id", "traceparent", "content-type", "accept", "origin", "cookie"],
    ...["sec-fetch-site", "content-length", "if-none-match", "range", "x-forwarded-for"],
  );
  await check(
    fc.tuple(name, printable),
    ([header, value]) => {
      const headers = { "content-type": "image/png", [header]: value };
      return request(account, "/v1/analyses", { method: "POST", body: newImage(), headers });
    },
    50,
  );
  await check(fc.tuple(name, printable), ([header, value]) =>
    request(account, "/v1/analyses", { headers: { [header]: value } }),
  );
});

it("keys, queries and paths of any text", async () => {
  // From an address of its own: failed attempts count by it.
  await check(printable, (authorization) =>
    request(null, "/v1/models", { headers: { authorization, "cf-connecting-ip": "203.0.113.9" } }),
  );
  const rooms = fc.constantFrom(
    ...["/v1/analyses?", "/v1/analyses?cursor=", "/v1/analyses?limit=", "/v1/analyses?status=", "/v1/batches/", "/v1/"],
    ...["/v1/analyses/", "/v1/shared/", "/v1/uploads/", "/v1/api-keys/", "/v1/webhook-endpoints/", "/"],
  );
  const odd = fc.constantFrom(
    "%",
    "%ff",
    "%00",
    "%2e%2e%2f",
    "..%5c",
    "//",
    "%c0%af",
    "an_%00",
    "-1",
    "1e9",
    "0x10",
    "🦊",
  );
  const tail = fc.oneof(
    odd,
    fc.webPath(),
    fc.string({ maxLength: 30 }),
    fc.array(odd, { maxLength: 4 }).map((all) => all.join("")),
  );
  await check(fc.tuple(rooms, tail), ([room, rest]) => {
    const headers = { "cf-connecting-ip": "203.0.113.10" };
    return request(account, room + rest.replaceAll(/[#\s]/g, ""), { headers });
  });
});
