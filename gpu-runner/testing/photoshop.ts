/** Parts of what Photoshop writes into files, for tests of what reads it. */

/** One of Photoshop's image resources. */
export function resource(number: number, data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.write("8BIM");
  head.writeUInt16BE(number, 4);
  head.writeUInt32BE(data.length, 8);
  return Buffer.concat([head, data, Buffer.alloc(data.length % 2)]);
}
