/**
 * Makes the HTML and the PDF report again from what was kept: the JSON report, the image and the overlay. Both are the
 * bytes that the service made, where it was the same version of it.
 *
 *   node gpu-runner/report/render.ts --report report.json --image photo.jpg --overlay overlay.png --out DIR
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { decodeImage } from "../image/decode.ts";
import { makeReport } from "./make.ts";
import { reportPictures } from "./pictures.ts";
import { reportRecord } from "./record.ts";

const { values } = parseArgs({
  options: {
    report: { type: "string" },
    image: { type: "string" },
    overlay: { type: "string" },
    out: { type: "string", default: "." },
  },
});

function given(name: "report" | "image" | "overlay"): Buffer {
  const file = values[name];
  if (file === undefined) throw new Error(`--${name} is needed`);
  return readFileSync(file);
}

/** The file's bytes, if they are the ones that the record is about. */
function recorded(name: "image" | "overlay", sha256: string | undefined): Buffer {
  const bytes = given(name);
  const found = createHash("sha256").update(bytes).digest("hex");
  if (found !== sha256) throw new Error(`--${name} has SHA-256 ${found}, the report is about ${sha256}`);
  return bytes;
}

const record = reportRecord.parse(JSON.parse(given("report").toString("utf8")));
const image = await decodeImage(recorded("image", record.image.sha256), record.image.width * record.image.height);
const overlay = recorded("overlay", record.files["overlay"]?.sha256);
const pictures = await reportPictures(image, image.orientation, record.image, overlay, record.regions);
mkdirSync(values.out, { recursive: true });
for (const format of ["html", "pdf"] as const) {
  writeFileSync(join(values.out, `report.${format}`), await makeReport({ record, pictures, format }));
}
