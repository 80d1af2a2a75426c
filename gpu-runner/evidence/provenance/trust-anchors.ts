import { readFile } from "node:fs/promises";
import { StartError } from "../../configuration.ts";

/**
 * The certificates of a PEM file; null where no file is named.
 *
 * @throws StartError where there are none to be read: nothing would be trusted, and nobody would know why.
 */
export async function loadTrustAnchors(path: string | undefined): Promise<string | null> {
  if (path === undefined) return null;
  const anchors = await readFile(path, "utf8").catch((error: unknown) => {
    throw new StartError(`C2PA_TRUST_ANCHORS cannot be read: ${error instanceof Error ? error.message : error}`);
  });
  if (!anchors.includes("-----BEGIN CERTIFICATE-----")) {
    throw new StartError(`C2PA_TRUST_ANCHORS: ${path} holds no certificate`);
  }
  return anchors;
}
