declare module "fft.js" {
  export default class FFT {
    /** @param size a power of two, at least 2 */
    constructor(size: number);
    createComplexArray(): number[];
    /** Fills the left half of `out`, real and imaginary parts in turn. */
    realTransform(out: number[] | Float64Array, data: readonly number[] | Float64Array): void;
    transform(out: number[] | Float64Array, data: readonly number[] | Float64Array): void;
  }
}
