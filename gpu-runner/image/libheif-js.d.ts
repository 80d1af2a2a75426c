/** The part of libheif-js that heic.ts uses; the package ships no types. */
declare module "libheif-js/wasm-bundle.js" {
  interface Target {
    data: Uint8ClampedArray;
    width: number;
    height: number;
  }
  interface HeifImage {
    get_width(): number;
    get_height(): number;
    is_primary(): boolean;
    /** RGBA, 8 bits, with the file's own rotation and mirroring applied; null where decoding failed. */
    display(target: Target, done: (result: Target | null) => void): void;
    free(): void;
  }
  class HeifDecoder {
    decode(bytes: Uint8Array): HeifImage[];
  }
  const libheif: { HeifDecoder: typeof HeifDecoder };
  export default libheif;
}
