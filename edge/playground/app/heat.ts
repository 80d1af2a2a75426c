/** Colours of the probability map. */

/** From "just above the threshold" to "certain": light amber, orange, and a red that is rare in photographs. */
const ramp = [
  [255, 209, 92],
  [255, 122, 48],
  [255, 32, 88],
] as const;

/** Opacity of the faintest colour, as a part of that of the strongest. */
const faintest = 0.45;

/**
 * What each of the 256 levels of the map looks like, as RGBA in the byte order of `ImageData` on little-endian machines,
 * which is what all browsers run on. Levels below `threshold` (0…1) are transparent; `strength` (0…1) is the opacity of
 * certainty.
 */
export function heatColours(threshold: number, strength: number): Uint32Array {
  const colours = new Uint32Array(256);
  for (let level = 0; level < 256; level++) {
    const probability = level / 255;
    if (probability < threshold || strength === 0) continue;
    const certainty = threshold >= 1 ? 1 : (probability - threshold) / (1 - threshold);
    const [red, green, blue] = mix(certainty);
    const alpha = Math.round(255 * strength * (faintest + (1 - faintest) * certainty));
    colours[level] = ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  }
  return colours;
}

function mix(certainty: number): readonly [number, number, number] {
  const place = certainty * (ramp.length - 1);
  const index = Math.min(ramp.length - 2, Math.floor(place));
  const [from, to] = [ramp[index] ?? ramp[0], ramp[index + 1] ?? ramp[0]];
  const part = place - index;
  const channel = (i: 0 | 1 | 2) => Math.round(from[i] + (to[i] - from[i]) * part);
  return [channel(0), channel(1), channel(2)];
}

/** Colours every pixel by its red channel, in place. */
export function colour(pixels: ImageData, colours: Uint32Array): void {
  const words = new Uint32Array(pixels.data.buffer, pixels.data.byteOffset, pixels.data.length / 4);
  for (let i = 0; i < words.length; i++) words[i] = colours[(words[i] ?? 0) & 255] ?? 0;
}
