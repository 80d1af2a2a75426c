/** One analysis through the public API, printed for a person and checked for sanity. */
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type Analysis, OmniIml } from "@omni-iml/sdk";
import sharp from "sharp";

export interface Demonstration {
  analysis: Analysis;
  /** What is wrong with the answer; empty when it is sane. */
  complaints: string[];
}

/** Analyses `sample` and checks status, map size, and that its signed addresses answer now and not once altered. */
export async function demonstrate(baseUrl: string, apiKey: string, sample: string): Promise<Demonstration> {
  const client = new OmniIml({ apiKey, baseUrl });
  const bytes = await readFile(sample);
  // A comment makes the bytes new, so that the answer is the runner's and not the cache's; pixels and tables stay.
  const image = withComment(bytes, `omni-iml ${randomUUID()}`);
  let analysis = await client.analyses.create({ image, filename: sample.replace(/^.*\//, ""), wait: 60 });
  if (analysis.ended_at === null) analysis = await client.analyses.wait(analysis.id, { timeout: 120 });
  const complaints = await complaintsAbout(analysis, await sharp(bytes).metadata());
  return { analysis, complaints };
}

/** A JPEG with a comment segment behind its first marker. */
function withComment(jpeg: Buffer, comment: string): Uint8Array<ArrayBuffer> {
  const segment = Buffer.alloc(4 + comment.length);
  segment.writeUInt16BE(0xfffe, 0);
  segment.writeUInt16BE(2 + comment.length, 2);
  segment.write(comment, 4, "latin1");
  return new Uint8Array(Buffer.concat([jpeg.subarray(0, 2), segment, jpeg.subarray(2)]));
}

async function complaintsAbout(analysis: Analysis, sample: { width: number; height: number }): Promise<string[]> {
  if (analysis.status !== "succeeded") {
    return [`the analysis ended ${analysis.status}: ${analysis.error?.detail ?? "without a reason"}`];
  }
  const complaints: string[] = [];
  for (const [name, file] of Object.entries(analysis.files)) {
    const [asSigned, altered] = await Promise.all([fetch(file.url), fetch(withAlteredSignature(file.url))]);
    await altered.body?.cancel();
    if (asSigned.status !== 200) complaints.push(`the address of ${name} answers ${asSigned.status}`);
    if (altered.status !== 403) complaints.push(`the altered address of ${name} answers ${altered.status}, not 403`);
    const body = Buffer.from(await asSigned.arrayBuffer());
    if (name !== "probability" || asSigned.status !== 200) continue;
    const { width, height } = await sharp(body).metadata();
    if (width !== sample.width || height !== sample.height) {
      complaints.push(`the map has ${width} × ${height} pixels, the image ${sample.width} × ${sample.height}`);
    }
  }
  if (!analysis.files.probability) complaints.push("there is no probability map");
  return complaints;
}

/** The address with the last digit of its signature changed. */
export function withAlteredSignature(address: string): string {
  const url = new URL(address);
  const signature = url.searchParams.get("X-Amz-Signature") ?? "";
  url.searchParams.set("X-Amz-Signature", signature.slice(0, -1) + (signature.endsWith("0") ? "1" : "0"));
  return url.href;
}

/** The answer as a person reads it. */
export function readable(analysis: Analysis, sample: string): string {
  const { image, verdict, score, domain, modality, regions, explanation, timings, files } = analysis;
  const row = (label: string, text: string) => `  ${label.padEnd(12)}${text}`;
  const lines = [row("sample", `${sample}${image ? `  ${image.width} × ${image.height}` : ""}`)];
  lines.push(row("verdict", `${verdict?.replaceAll("_", " ") ?? analysis.status} (score ${fixed(score)})`));
  if (domain) lines.push(row("domain", `${domain.name} (${fixed(domain.confidence)}), the gate chose ${modality}`));
  for (const { id, bbox, area_fraction, score: regionScore, manipulation } of regions ?? []) {
    const box = `${bbox.width} × ${bbox.height} at ${bbox.x}, ${bbox.y}`;
    const share = `${(100 * area_fraction).toFixed(1)} % of the image`;
    lines.push(
      row(`region ${id}`, [box, share, `score ${fixed(regionScore)}`, manipulation].filter(Boolean).join(", ")),
    );
  }
  if (explanation) lines.push(row("explanation", explanation));
  const total = Object.entries(timings ?? {}).map(([stage, milliseconds]) => `${stage} ${Math.round(milliseconds)} ms`);
  if (total.length > 0) lines.push(row("timings", total.join(", ")));
  for (const [name, file] of Object.entries(files)) lines.push(row(name, file.url));
  return lines.join("\n");
}

function fixed(value: number | null): string {
  return value === null ? "–" : value.toFixed(2);
}
