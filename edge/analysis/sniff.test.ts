import { expect, it } from "vitest";
import { nameOther, sniffImage } from "./sniff.ts";

function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

/** The first box of an ISO media file: its size, `ftyp`, the major brand, a version, compatible brands. */
function ftyp(major: string, ...compatible: string[]): Uint8Array {
  const size = 16 + 4 * compatible.length;
  return bytes(`\0\0\0${String.fromCharCode(size)}ftyp${major}\0\0\0\0${compatible.join("")}moov`);
}

it.each([
  ["image/jpeg", bytes("\xff\xd8\xff\xe0")],
  ["image/png", bytes("\x89PNG\r\n\x1a\n")],
  ["image/webp", bytes("RIFF\x10\0\0\0WEBPVP8 ")],
  ["image/tiff", bytes("II*\0")],
  ["image/tiff", bytes("MM\0*")],
  ["image/tiff", bytes("MM\0+")],
  ["image/avif", ftyp("avif", "mif1")],
  ["image/avif", ftyp("mif1", "miaf", "avif")],
  ["image/heic", ftyp("heic", "mif1")],
  ["image/heic", ftyp("mif1", "heic")],
])("knows %s by its first bytes", (type, content) => {
  expect(sniffImage(content)).toBe(type);
});

it.each([
  ["text", bytes("hello\n")],
  ["a PDF", bytes("%PDF-1.4")],
  ["a GIF", bytes("GIF89a")],
  ["a video or another ISO media file", ftyp("isom", "mp42")],
  // A brand beyond the end of the first box is none.
  ["a video or another ISO media file", Uint8Array.from([...ftyp("mp42"), ...bytes("heic")])],
  ["of an unknown type", bytes("\0\x01\x02")],
])("knows no image in %s", (name, content) => {
  expect(sniffImage(content)).toBeNull();
  expect(nameOther(content)).toBe(name);
});

it("does not stumble over very short files", () => {
  for (const content of ["", "\xff", "\xff\xd8", "RIFF", "\0\0\0\x18ftyp"])
    expect(sniffImage(bytes(content))).toBeNull();
});
