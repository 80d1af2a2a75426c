/** Reports for people, made of a record and its pictures: the same bytes whenever and wherever it is done. */
import { english } from "../wording/en.ts";
import { contentOf } from "./content.ts";
import { htmlReport } from "./html.ts";
import { pdfReport } from "./pdf.ts";
import type { ReportPictures } from "./pictures.ts";
import type { ReportRecord } from "./record.ts";

export interface ReportOrder {
  readonly record: ReportRecord;
  readonly pictures: ReportPictures;
  readonly format: "html" | "pdf";
}

export async function makeReport({ record, pictures, format }: ReportOrder): Promise<Uint8Array> {
  const content = contentOf(record, english);
  return format === "html"
    ? new TextEncoder().encode(await htmlReport(content, pictures))
    : pdfReport(content, pictures, new Date(record.made_at));
}
