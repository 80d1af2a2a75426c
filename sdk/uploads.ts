/** `client.uploads`: files of up to 200 MB, put straight into storage. */
import { readResource } from "./answer.ts";
import { UnexpectedAnswerError } from "./errors.ts";
import { asBlob, type ImageInput, nameOf } from "./image-input.ts";
import type { NewUpload, Upload } from "./resources.ts";
import type { CallOptions, Transport, WriteOptions } from "./transport.ts";

const types: Readonly<Record<NewUpload["content_type"], true>> = {
  "image/jpeg": true,
  "image/png": true,
  "image/webp": true,
  "image/tiff": true,
  "image/avif": true,
  "image/heic": true,
  "application/octet-stream": true,
};

/** Seconds for one try of a PUT: 200 MB at 5 Mbit/s. */
const putTimeout = 360;

export class Uploads {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Announces a file; PUT it to the answer's `put.url`, or let {@link Uploads.send} do both. */
  async create(params: NewUpload, options: WriteOptions = {}): Promise<Upload> {
    const response = await this.#transport.send({ method: "POST", path: "/v1/uploads", json: params, ...options });
    return readResource<Upload>(response, "upload");
  }

  /** Announces the file and stores it: the answer's id is an `upload_id` for one analysis or an item of a batch. */
  async send(
    file: ImageInput,
    { filename = nameOf(file) }: { filename?: string | undefined } = {},
    options: CallOptions = {},
  ): Promise<Upload> {
    const blob = asBlob(file);
    const upload = await this.create({ bytes: blob.size, content_type: contentType(blob), filename }, options);
    if (upload.put === null) throw new UnexpectedAnswerError(201, `the new upload ${upload.id} has no address`);
    await this.#transport.put(upload.put.url, upload.put.headers, blob, { timeout: putTimeout, ...defined(options) });
    return upload;
  }

  async retrieve(id: string, options: CallOptions = {}): Promise<Upload> {
    const response = await this.#transport.send({ method: "GET", path: pathOf(id), ...options });
    return readResource<Upload>(response, "upload");
  }

  /** Erases the file. An analysis that it has become is not touched. */
  async delete(id: string, options: CallOptions = {}): Promise<void> {
    await this.#transport.send({ method: "DELETE", path: pathOf(id), ...options });
  }
}

function contentType({ type }: Blob): NewUpload["content_type"] {
  return isUploadType(type) ? type : "application/octet-stream";
}

function isUploadType(type: string): type is NewUpload["content_type"] {
  return Object.hasOwn(types, type);
}

function defined(options: CallOptions): CallOptions {
  const { timeout, ...rest } = options;
  return timeout === undefined ? rest : options;
}

function pathOf(id: string): string {
  return `/v1/uploads/${encodeURIComponent(id)}`;
}
