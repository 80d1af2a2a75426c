/** Files signed by golden/make.py, read by c2pa-rs. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { describe, expect, it } from "vitest";
import type { EvidenceCode } from "../codes.ts";
import { type Credentials, readCredentials } from "./credentials.ts";
import { credentialEvidence, hasManifest } from "./statements.ts";

const golden = (name: string) => readFileSync(new URL(`golden/${name}`, import.meta.url));
const signed = golden("signed.jpg");
const unsigned = readFileSync(new URL("../../../test/samples/landscape.jpg", import.meta.url));

function statedOf(credentials: Credentials | null): EvidenceCode[] {
  const codes: EvidenceCode[] = [];
  credentialEvidence(credentials, (code) => codes.push(code));
  return codes;
}

describe("Content Credentials", () => {
  it("of a signed photograph are intact, and say what was done", async () => {
    expect(hasManifest(signed)).toBe(true);
    const credentials = await readCredentials(signed, "image/jpeg", null);
    expect(credentials).toMatchObject({
      state: "valid",
      signer: "Test signer",
      issuer: "Omni-IML tests",
      failures: [],
    });
    expect(credentials?.actions.map(({ action }) => action)).toEqual(["c2pa.opened", "c2pa.cropped"]);
    expect(statedOf(credentials)).toEqual(["content_credentials_valid"]);
  });

  it("are trusted where the authority behind the certificate is", async () => {
    const anchors = golden("trust.pem").toString();
    expect(await readCredentials(signed, "image/jpeg", anchors)).toMatchObject({ state: "trusted" });
  });

  it("do not fit a file whose pixels were changed afterwards", async () => {
    const changed = Buffer.from(signed);
    const at = changed.length - 5000;
    changed[at] = (changed[at] ?? 0) ^ 1;
    const credentials = await readCredentials(changed, "image/jpeg", null);
    expect(credentials?.state).toBe("invalid");
    expect(credentials?.failures.map(({ code }) => code)).toContain("assertion.dataHash.mismatch");
    expect(statedOf(credentials)).toEqual(["content_credentials_invalid"]);
  });

  it("of a generated picture declare it to be generated", async () => {
    const credentials = await readCredentials(golden("generated.png"), "image/png", null);
    expect(statedOf(credentials)).toEqual(["content_credentials_valid", "declared_generated"]);
  });

  it("that are said to lie elsewhere are not fetched: the runner asks nobody whom an image names", async () => {
    let asked = 0;
    const elsewhere = createServer((_, response) => {
      asked++;
      response.end();
    }).listen(0, "127.0.0.1");
    await once(elsewhere, "listening");
    const address = elsewhere.address();
    if (address === null || typeof address === "string") throw new Error("the server has no port");
    const xmp =
      '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">' +
      '<rdf:Description rdf:about="" xmlns:dcterms="http://purl.org/dc/terms/" ' +
      `dcterms:provenance="http://127.0.0.1:${address.port}/manifest.c2pa"/></rdf:RDF></x:xmpmeta>`;
    const body = Buffer.concat([Buffer.from("http://ns.adobe.com/xap/1.0/\0", "latin1"), Buffer.from(xmp)]);
    const head = Buffer.from([0xff, 0xe1, 0, 0]);
    head.writeUInt16BE(body.length + 2, 2);
    const naming = Buffer.concat([unsigned.subarray(0, 2), head, body, unsigned.subarray(2)]);
    // c2pa-rs has found the address, and would go there if it were allowed to.
    await expect(readCredentials(naming, "image/jpeg", null)).rejects.toThrow(/RemoteManifestUrl/);
    expect(asked).toBe(0);
    elsewhere.close();
  });

  it("are none in a file without", async () => {
    expect(hasManifest(unsigned)).toBe(false);
    expect(await readCredentials(unsigned, "image/jpeg", null)).toBeNull();
  });

  it("that are no manifest are refused, not believed", async () => {
    const broken = Buffer.from(signed);
    const at = broken.indexOf("c2pa.claim");
    broken.fill(0xff, at - 200, at + 200);
    const read = await readCredentials(broken, "image/jpeg", null).catch(() => "refused");
    expect(read === "refused" || (read !== null && typeof read === "object" && read.state === "invalid")).toBe(true);
  });
});
