/** The part of libheif-js that heic.ts uses; the types in the package are of its browser build's other half. */
declare module "libheif-js/libheif-wasm/libheif-bundle.js" {
  /** Values of embind: only identity counts. */
  type Constant = object;
  type Handle = object;

  export interface HeifImage {
    readonly handle: Handle;
    get_width(): number;
    get_height(): number;
    is_primary(): boolean;
    free(): void;
  }
  export interface HeifDecoder {
    decode(bytes: Uint8Array): HeifImage[];
  }
  export interface DecodedPlanes {
    readonly image: Handle;
    /** `data` lies in WebAssembly's memory, until the image is released. */
    readonly channels: readonly {
      readonly id: Constant;
      readonly width: number;
      readonly height: number;
      /** Bytes from row to row. */
      readonly stride: number;
      readonly data: Uint8Array;
    }[];
  }
  export interface Libheif {
    readonly HeifDecoder: new () => HeifDecoder;
    readonly heif_colorspace: { readonly heif_colorspace_RGB: Constant };
    readonly heif_chroma: { readonly heif_chroma_interleaved_RGBA: Constant };
    readonly heif_channel: { readonly heif_channel_interleaved: Constant };
    /** With the file's own rotation and mirroring applied. */
    heif_js_decode_image2(
      image: Handle,
      colorspace: Constant,
      chroma: Constant,
    ): DecodedPlanes | { readonly code: Constant };
    heif_image_release(image: Handle): void;
  }
  /** An instance of its own, with memory of its own. */
  export default function load(): Libheif;
}
