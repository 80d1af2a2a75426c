/** Where things lie in object storage, and the signed addresses under which others may fetch or put them. */
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import type { OutputName } from "@omni-iml/shared/analysis";
import type { Settings } from "../environment.ts";

export const inputKey = (account: string, analysis: string) => `inputs/${account}/${analysis}`;
export const uploadKey = (account: string, upload: string) => `uploads/${account}/${upload}`;
export const recordKey = (account: string, analysis: string) => `records/${account}/${analysis}.json`;

const fileNames: Readonly<Record<OutputName, string>> = {
  probability: "probability.png",
  mask: "mask.png",
  overlay: "overlay.png",
  report: "report.json",
  report_html: "report.html",
  report_pdf: "report.pdf",
};
/** `prefix` is that of an attempt and ends with a slash. */
export const outputKey = (prefix: string, output: OutputName) => `${prefix}${fileNames[output]}`;

/** What signing needs to know of the deployment. */
export type StorageSettings = Pick<
  Settings,
  "S3_ENDPOINT" | "S3_REGION" | "S3_BUCKET" | "S3_ACCESS_KEY_ID" | "S3_SECRET_ACCESS_KEY"
>;

const clients = new WeakMap<StorageSettings, S3Client>();

function client(settings: StorageSettings): S3Client {
  let s3 = clients.get(settings);
  if (!s3) {
    s3 = new S3Client({
      endpoint: settings.S3_ENDPOINT,
      region: settings.S3_REGION,
      forcePathStyle: true,
      // Otherwise a checksum of the (unknown) body is signed into the address.
      requestChecksumCalculation: "WHEN_REQUIRED",
      responseChecksumValidation: "WHEN_REQUIRED",
      credentials: { accessKeyId: settings.S3_ACCESS_KEY_ID, secretAccessKey: settings.S3_SECRET_ACCESS_KEY },
    });
    clients.set(settings, s3);
  }
  return s3;
}

const wholeSeconds = (milliseconds: number) => Math.max(1, Math.ceil(milliseconds / 1000));

/** An address that answers GET for `lifetime` milliseconds. */
export function signedGet(
  settings: StorageSettings,
  key: string,
  lifetime: number,
  response: { contentType?: string; fileName?: string } = {},
): Promise<string> {
  const command = new GetObjectCommand({
    Bucket: settings.S3_BUCKET,
    Key: key,
    ...(response.contentType === undefined ? {} : { ResponseContentType: response.contentType }),
    ...(response.fileName === undefined
      ? {}
      : { ResponseContentDisposition: `inline; filename="${response.fileName}"` }),
  });
  return getSignedUrl(client(settings), command, { expiresIn: wholeSeconds(lifetime) });
}

/**
 * An address that accepts PUT for `lifetime` milliseconds; where `body` is given, only of so many bytes and this type,
 * which the request has to name in its headers.
 */
export function signedPut(
  settings: StorageSettings,
  key: string,
  lifetime: number,
  body?: { bytes: number; contentType: string },
): Promise<string> {
  const command = new PutObjectCommand({
    Bucket: settings.S3_BUCKET,
    Key: key,
    ...(body === undefined ? {} : { ContentLength: body.bytes, ContentType: body.contentType }),
  });
  const signableHeaders = new Set(body === undefined ? ["host"] : ["host", "content-length", "content-type"]);
  return getSignedUrl(client(settings), command, { expiresIn: wholeSeconds(lifetime), signableHeaders });
}

/** Deletes everything under `prefix` except what lies under one of `keep`; answers how much was deleted. */
export async function sweep(storage: R2Bucket, prefix: string, keep: readonly string[] = []): Promise<number> {
  let swept = 0;
  let cursor: string | undefined;
  do {
    const page: R2Objects = await storage.list({ prefix, ...(cursor === undefined ? {} : { cursor }) });
    const doomed = page.objects.map(({ key }) => key).filter((key) => !keep.some((kept) => key.startsWith(kept)));
    if (doomed.length > 0) await storage.delete(doomed);
    swept += doomed.length;
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor !== undefined);
  return swept;
}
