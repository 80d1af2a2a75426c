/** Content Credentials in statements. */
import type { ImageFormat } from "../../image/format.ts";
import { actionInWords } from "../../wording/en-checks.ts";
import type { State } from "../findings.ts";
import type { Credentials } from "./credentials.ts";

export const mediaTypes: Readonly<Record<ImageFormat, string>> = {
  jpeg: "image/jpeg",
  png: "image/png",
  webp: "image/webp",
  tiff: "image/tiff",
  avif: "image/avif",
  heic: "image/heic",
};

/** Whether a manifest store may be in the file: its JUMBF box is labelled "c2pa" in every format. */
export function hasManifest(bytes: Uint8Array): boolean {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return file.includes("c2pa\0") && file.includes("jumb");
}

/** IPTC's digital source types (newscodes) of pictures that a model made, in whole or in part. */
const generatedTypes = new Set([
  "trainedAlgorithmicMedia",
  "compositeWithTrainedAlgorithmicMedia",
  "compositeSynthetic",
  "algorithmicMedia",
]);

export function saysGenerated(sourceType: string | null): boolean {
  return sourceType !== null && generatedTypes.has(sourceType);
}

export function credentialEvidence(credentials: Credentials | null, state: State): void {
  if (credentials === null) {
    state("no_content_credentials", {});
    return;
  }
  const { signer, issuer, generator } = credentials;
  if (credentials.state === "invalid") {
    state("content_credentials_invalid", { signer, generator, failures: [...credentials.failures] });
    return;
  }
  state("content_credentials_valid", {
    signer,
    issuer,
    signed_at: credentials.signedAt,
    generator,
    trusted: credentials.state === "trusted",
    actions: credentials.actions.map(({ action, software, description }) => ({
      action,
      software,
      description: description ?? actionInWords(action),
    })),
    ingredients: [...credentials.ingredients],
  });
  const generated = credentials.actions.find(({ source }) => saysGenerated(source));
  if (generated !== undefined) state("declared_generated", { source: "c2pa", statement: generated.source ?? "" });
}
