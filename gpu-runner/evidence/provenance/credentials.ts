/**
 * Content Credentials (C2PA), read and verified by the reference implementation, c2pa-rs, as WebAssembly. Runs in a thread
 * of its own that ends with the file: a manifest is as hostile as any other input, and memory once grown is not given back.
 */
import { readFile } from "node:fs/promises";
import init, { WasmReader } from "@contentauth/c2pa-wasm";
import { z } from "zod";

export interface Credentials {
  /** `trusted`: signed by somebody on the trust list; `valid`: intact, but nobody says whose the certificate is. */
  readonly state: "invalid" | "valid" | "trusted";
  readonly signer: string | null;
  readonly issuer: string | null;
  readonly signedAt: string | null;
  readonly generator: string | null;
  readonly actions: readonly {
    action: string;
    software: string | null;
    description: string | null;
    source: string | null;
  }[];
  readonly ingredients: readonly string[];
  /** What did not verify, trust apart. */
  readonly failures: readonly { code: string; explanation: string }[];
}

const text = z.string().transform((value) => value.slice(0, 200));
const optional = text.nullish().catch(undefined);
const action = z.object({
  action: text,
  softwareAgent: z
    .union([text, z.object({ name: text }).transform(({ name }) => name)])
    .nullish()
    .catch(undefined),
  description: optional,
  digitalSourceType: optional,
});
const actions = z.object({ actions: z.array(action) });

const manifest = z.object({
  claim_generator: optional,
  claim_generator_info: z
    .array(z.object({ name: text, version: optional }))
    .nullish()
    .catch(undefined),
  signature_info: z.object({ issuer: optional, common_name: optional, time: optional }).nullish().catch(undefined),
  assertions: z
    .array(z.object({ label: z.string(), data: z.unknown() }))
    .nullish()
    .catch(undefined),
  ingredients: z
    .array(z.object({ title: optional }))
    .nullish()
    .catch(undefined),
});

const store = z.object({
  active_manifest: z.string().nullish(),
  manifests: z.record(z.string(), manifest),
  validation_state: z.enum(["Invalid", "Valid", "Trusted"]),
  validation_status: z
    .array(z.object({ code: z.string(), explanation: optional }))
    .nullish()
    .catch(undefined),
});

/** A list longer than this is read by nobody. */
const mostEntries = 50;

/** What says whose the certificate is, not whether the file is what was signed. */
const aboutTrust = new Set(["signingCredential.untrusted", "signingCredential.ocsp.unknown", "timeStamp.untrusted"]);

/**
 * @param anchors certificates, as PEM, of those whose signatures are trusted
 * @returns null where the file carries no manifest
 * @throws where what it carries cannot be read as one
 */
export async function readCredentials(
  bytes: Uint8Array,
  mediaType: string,
  anchors: string | null,
): Promise<Credentials | null> {
  const wasm = await readFile(new URL(import.meta.resolve("@contentauth/c2pa-wasm/c2pa.wasm")));
  await init({ module_or_path: wasm });
  // Nothing is fetched, whatever the manifest asks for.
  const settings = {
    verify: { remote_manifest_fetch: false, ocsp_fetch: false },
    ...(anchors !== null && { trust: { user_anchors: anchors } }),
  };
  let reader: WasmReader;
  try {
    reader = await WasmReader.fromBytes(mediaType, bytes, JSON.stringify(settings));
  } catch (error) {
    if (/JumbfNotFound/.test(String(error))) return null;
    throw error;
  }
  return summarise(store.parse(JSON.parse(reader.json())));
}

function summarise(found: z.infer<typeof store>): Credentials {
  const active = found.manifests[found.active_manifest ?? ""];
  const generator = active?.claim_generator_info?.[0];
  const failures = (found.validation_status ?? [])
    .filter(({ code }) => !aboutTrust.has(code))
    .map(({ code, explanation }) => ({ code, explanation: explanation ?? code }));
  return {
    state: found.validation_state === "Trusted" ? "trusted" : found.validation_state === "Valid" ? "valid" : "invalid",
    signer: active?.signature_info?.common_name ?? null,
    issuer: active?.signature_info?.issuer ?? null,
    signedAt: active?.signature_info?.time ?? null,
    generator: generator
      ? [generator.name, generator.version].filter(Boolean).join(" ")
      : (active?.claim_generator ?? null),
    actions: (active?.assertions ?? [])
      .filter(({ label }) => label.startsWith("c2pa.actions"))
      .flatMap(({ data }) => actions.safeParse(data).data?.actions ?? [])
      .slice(0, mostEntries)
      .map((entry) => ({
        action: entry.action,
        software: entry.softwareAgent ?? null,
        description: entry.description ?? null,
        source: entry.digitalSourceType?.split("/").at(-1) ?? null,
      })),
    ingredients: (active?.ingredients ?? []).slice(0, mostEntries).map(({ title }) => title ?? "untitled"),
    failures: failures.slice(0, mostEntries),
  };
}
