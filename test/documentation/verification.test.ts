/**
 * The functions of docs/webhooks.md that verify a message, in every language whose interpreter is on this machine,
 * against messages signed by the `standardwebhooks` package.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unwrapWebhook } from "@omni-iml/sdk";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readPage, snippetsOf } from "./pages.ts";

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const id = "ev_01kaw4v3r8h7t2m9c5x1q6zd0e";
const body = '{"type":"webhook.test","timestamp":"2026-11-24T09:30:00.000Z","data":{"name":"Ü\\u2028 “…”"}}';

interface Message {
  signature: string;
  timestamp: number;
  body: string;
}

function signed(age = 0): Message {
  const at = new Date(Date.now() - age * 1000);
  return { signature: new Webhook(secret).sign(id, at, body), timestamp: Math.floor(at.getTime() / 1000), body };
}

interface Language {
  /** As the fence names it. */
  name: string;
  /** Answers 0 where it can be run. */
  probe: readonly string[];
  /** What calls the function and prints `true` or `false`; the message is in the environment. */
  driver: (code: string) => Record<string, string>;
  run: readonly string[];
  /** What must stand in it where it cannot be run here. */
  essentials: readonly string[];
}

const languages: readonly Language[] = [
  {
    name: "js",
    probe: [process.execPath, "--version"],
    driver: (code) => ({
      "verify.mjs": code,
      "main.mjs": `import { verify } from "./verify.mjs";
const { SECRET, ID, TIMESTAMP, SIGNATURE, BODY } = process.env;
const headers = { "webhook-id": ID, "webhook-timestamp": TIMESTAMP, "webhook-signature": SIGNATURE };
console.log(verify(SECRET, headers, BODY));`,
    }),
    run: [process.execPath, "main.mjs"],
    essentials: ["timingSafeEqual"],
  },
  {
    name: "python",
    probe: ["python3", "--version"],
    driver: (code) => ({
      "main.py": `${code}
from os import environ as e
headers = {"webhook-id": e["ID"], "webhook-timestamp": e["TIMESTAMP"], "webhook-signature": e["SIGNATURE"]}
print(str(verify(e["SECRET"], headers, e["BODY"].encode())).lower())`,
    }),
    run: ["python3", "main.py"],
    essentials: ["hmac.compare_digest"],
  },
  {
    name: "go",
    probe: ["go", "version"],
    driver: (code) => ({
      "verify.go": code,
      "main.go": `package main
import ("fmt"; "net/http"; "os")
func main() {
	headers := http.Header{}
	headers.Set("webhook-id", os.Getenv("ID"))
	headers.Set("webhook-timestamp", os.Getenv("TIMESTAMP"))
	headers.Set("webhook-signature", os.Getenv("SIGNATURE"))
	fmt.Println(Verify(os.Getenv("SECRET"), headers, []byte(os.Getenv("BODY"))))
}`,
    }),
    run: ["go", "run", "main.go", "verify.go"],
    essentials: ["hmac.Equal", "hmac.New(sha256.New, key)", 'id + "." + timestamp + "."', '"whsec_"', "5*time.Minute"],
  },
  {
    name: "ruby",
    probe: ["ruby", "--version"],
    driver: (code) => ({
      "main.rb": `${code}
headers = { "webhook-id" => ENV["ID"], "webhook-timestamp" => ENV["TIMESTAMP"], "webhook-signature" => ENV["SIGNATURE"] }
puts verify(ENV["SECRET"], headers, ENV["BODY"])`,
    }),
    run: ["ruby", "main.rb"],
    essentials: ["OpenSSL.secure_compare", '"SHA256", key', `#{id}.#{timestamp}.#{body}`, '"whsec_"', "> 300"],
  },
  {
    name: "php",
    probe: ["php", "--version"],
    driver: (code) => ({
      "main.php": `${code}
$headers = ['webhook-id' => getenv('ID'), 'webhook-timestamp' => getenv('TIMESTAMP'), 'webhook-signature' => getenv('SIGNATURE')];
echo verify(getenv('SECRET'), $headers, getenv('BODY')) ? 'true' : 'false';`,
    }),
    run: ["php", "main.php"],
    essentials: ["hash_equals", "hash_hmac('sha256'", '"$id.$timestamp.$body", $key, true', "whsec_", "> 300"],
  },
  {
    name: "sh",
    probe: ["openssl", "version"],
    driver: (code) => ({
      "main.sh": `${code}
if printf %s "$BODY" | verify "$SECRET" "$ID" "$TIMESTAMP" "$SIGNATURE"; then echo true; else echo false; fi`,
    }),
    run: ["bash", "main.sh"],
    essentials: [],
  },
];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "omni-iml-verify-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function here([program = "", ...args]: readonly string[]): boolean {
  return spawnSync(program, args).status === 0;
}

it("the message in docs/webhooks.md is what its secret signs, and the client takes it", async () => {
  const [shown] = snippetsOf("docs/webhooks.md").filter(({ code }) => code.startsWith("POST /hook"));
  const [head = "", sent = ""] = shown?.code.split("\n\n") ?? [];
  const headers = Object.fromEntries(
    [...head.matchAll(/^(webhook-\w+): (.+)$/gm)].map(([, name, value]) => [name, value]),
  );
  const by = /signed by `(whsec_\S+)`/.exec(readPage("docs/webhooks.md"))?.[1] ?? "";
  const at = new Date(1000 * Number(headers["webhook-timestamp"]));
  expect(headers["webhook-signature"]).toBe(new Webhook(by).sign(headers["webhook-id"] ?? "", at, sent));
  expect(await unwrapWebhook(sent, headers, by, at.getTime())).toMatchObject({ type: "webhook.test" });
  const changed = unwrapWebhook(sent.replace("test", "tesT"), headers, by, at.getTime());
  await expect(changed).rejects.toThrow("no signature is by this secret");
});

describe.each(languages)("verification in $name", ({ name, probe, driver, run, essentials }) => {
  const found = snippetsOf("docs/webhooks.md").filter(
    ({ language, code }) => language === name && /\bverify\b.*[({]/i.test(code),
  );
  const code = found[0]?.code ?? "";

  it("stands in docs/webhooks.md once", () => {
    expect(found).toHaveLength(1);
  });

  it.skipIf(!here(probe))("takes what is signed, and nothing else", () => {
    for (const [file, text] of Object.entries(driver(code))) writeFileSync(join(folder, file), text);
    const verify = ({ signature, timestamp, body }: Message) => {
      const message = { SECRET: secret, ID: id, TIMESTAMP: String(timestamp), SIGNATURE: signature, BODY: body };
      const [program = "", ...args] = run;
      const env = { ...process.env, ...message };
      return execFileSync(program, args, { cwd: folder, env, encoding: "utf8" }).trim();
    };
    const message = signed();
    expect(verify(message)).toBe("true");
    // While a secret is rotated there are several, and a later version of the scheme may stand among them.
    expect(verify({ ...message, signature: `v1a,AAAA v1,AAAA ${message.signature}` })).toBe("true");
    expect(verify({ ...message, body: body.replace("test", "tesT") })).toBe("false");
    expect(verify({ ...message, timestamp: message.timestamp + 1 })).toBe("false");
    expect(verify({ ...message, signature: message.signature.replace("v1,", "v2,") })).toBe("false");
    expect(verify({ ...message, signature: "" })).toBe("false");
    expect(verify(signed(400))).toBe("false");
    expect(verify(signed(-400))).toBe("false");
  });

  it.runIf(!here(probe))(`names what it needs (there is no ${probe[0]} here to run it)`, () => {
    for (const part of essentials) expect(code).toContain(part);
  });
});
