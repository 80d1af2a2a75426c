/** From a whole file to a broken one, as accidents and attackers make them. */
import { crc32 } from "node:zlib";
import type { SeededRandom } from "./random.ts";

type Mutation = (file: Buffer, random: SeededRandom, other: Buffer) => Buffer;

/** Where a change is likely to matter: mostly the header, whose lengths and counts everything else hangs on. */
function somewhere(file: Buffer, random: SeededRandom): number {
  const reach = random.next() < 0.7 ? Math.min(file.length, 700) : file.length;
  return random.below(Math.max(1, reach));
}

const numbers = [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

const mutations: readonly Mutation[] = [
  function truncate(file, random) {
    return file.subarray(0, random.below(file.length + 1));
  },
  function flipBits(file, random) {
    const made = Buffer.from(file);
    for (let n = 1 + random.below(8); n > 0; n--) {
      const at = somewhere(made, random);
      made[at] = (made[at] ?? 0) ^ (1 << random.below(8));
    }
    return made;
  },
  function replaceBytes(file, random) {
    const made = Buffer.from(file);
    for (let n = 1 + random.below(32); n > 0; n--) made[somewhere(made, random)] = random.below(256);
    return made;
  },
  function lieInANumber(file, random) {
    const made = Buffer.from(file);
    for (let n = 1 + random.below(3); n > 0; n--) {
      const at = somewhere(made, random);
      const value = random.pick(numbers);
      const width = random.pick([1, 2, 4]);
      if (at + width > made.length) continue;
      const fitting = width === 4 ? value : value % 256 ** width;
      if (random.next() < 0.5) made.writeUIntBE(fitting, at, width);
      else made.writeUIntLE(fitting, at, width);
    }
    return made;
  },
  function remove(file, random) {
    const at = somewhere(file, random);
    return Buffer.concat([file.subarray(0, at), file.subarray(at + 1 + random.below(64))]);
  },
  function repeat(file, random) {
    const at = somewhere(file, random);
    const piece = file.subarray(at, at + 1 + random.below(512));
    const times = 1 + random.below(20);
    return Buffer.concat([file.subarray(0, at), ...Array.from({ length: times }, () => piece), file.subarray(at)]);
  },
  function insert(file, random) {
    const at = somewhere(file, random);
    const piece = Buffer.from(Array.from({ length: 1 + random.below(64) }, () => random.below(256)));
    return Buffer.concat([file.subarray(0, at), piece, file.subarray(at)]);
  },
  function splice(file, random, other) {
    return Buffer.concat([file.subarray(0, somewhere(file, random)), other.subarray(somewhere(other, random))]);
  },
  function zero(file, random) {
    const made = Buffer.from(file);
    const at = somewhere(made, random);
    return made.fill(random.pick([0, 0xff]), at, Math.min(made.length, at + 1 + random.below(200)));
  },
];

/** A PNG with the checksums of its chunks made right: attackers know how, and decoders look no further without them. */
function rechecked(file: Buffer): Buffer {
  const made = Buffer.from(file);
  for (let at = 8; at + 12 <= made.length; ) {
    const end = at + 8 + made.readUInt32BE(at);
    if (end + 4 > made.length) break;
    made.writeUInt32BE(crc32(made.subarray(at + 4, end)), end);
    at = end + 4;
  }
  return made;
}

/** `file` after one to three accidents. */
export function mutate(file: Buffer, random: SeededRandom, other: Buffer): Buffer {
  let made = file;
  for (let n = random.pick([1, 1, 2, 3]); n > 0; n--) made = random.pick(mutations)(made, random, other);
  const png = made.length > 8 && made.toString("latin1", 1, 4) === "PNG";
  return png && random.next() < 0.7 ? rechecked(made) : made;
}
