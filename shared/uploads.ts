/** Uploads: files too large for a request, put straight into storage. */
import { z } from "zod";
import { idSchema } from "./ids.ts";

/** Bytes of the largest file. */
export const largestUpload = 200_000_000;
export const uploadTypes = [
  "image/jpeg",
  "image/png",
  "image/webp",
  "image/tiff",
  "image/avif",
  "image/heic",
  "application/octet-stream",
] as const;

export const newUpload = z
  .strictObject({
    bytes: z.int().min(1).max(largestUpload).meta({ description: "Exactly as many as will be sent." }),
    content_type: z.enum(uploadTypes),
    filename: z.string().min(1).max(255).optional(),
  })
  .meta({ id: "NewUpload", example: { bytes: 48_203_117, content_type: "image/tiff", filename: "scan.tif" } });
export type NewUpload = z.input<typeof newUpload>;

export const uploadStatuses = ["pending", "uploaded", "used"] as const;

export const upload = z
  .object({
    id: idSchema("upload"),
    object: z.literal("upload"),
    status: z.enum(uploadStatuses).meta({
      description: "`pending`: nothing was PUT yet; `uploaded`: the file is there; `used`: it has become `analysis`.",
    }),
    created_at: z.iso.datetime(),
    expires_at: z.iso.datetime().meta({ description: "What was not used by then is erased." }),
    bytes: z.int(),
    content_type: z.enum(uploadTypes),
    filename: z.string().nullable(),
    put: z
      .object({ url: z.string(), headers: z.record(z.string(), z.string()), expires_at: z.iso.datetime() })
      .nullable()
      .meta({
        description: "Where to PUT the file, with exactly these headers; they are signed. `null` once it is used.",
      }),
    analysis: idSchema("analysis").nullable(),
  })
  .meta({
    id: "Upload",
    example: {
      id: "up_01kaw4v3r8h7t2m9c5x1q6zd0e",
      object: "upload",
      status: "pending",
      created_at: "2026-11-24T09:30:00.000Z",
      expires_at: "2026-11-25T09:30:00.000Z",
      bytes: 48_203_117,
      content_type: "image/tiff",
      filename: "scan.tif",
      put: {
        url: "https://storage.example.com/omni-iml/uploads/…?X-Amz-Signature=…",
        headers: { "content-type": "image/tiff", "content-length": "48203117" },
        expires_at: "2026-11-24T10:30:00.000Z",
      },
      analysis: null,
    },
  });
export type Upload = z.infer<typeof upload>;
