/** An image as a caller has it. */

export type ImageInput = Blob | ArrayBuffer | Uint8Array<ArrayBuffer>;

/** Not copied where it is a Blob already, such as a file of `openAsBlob`, which is then read as it is sent. */
export function asBlob(image: ImageInput): Blob {
  return image instanceof Blob ? image : new Blob([image]);
}

/** The name that the file has by itself. */
export function nameOf(image: ImageInput): string | undefined {
  return image instanceof File && image.name !== "" ? image.name : undefined;
}
