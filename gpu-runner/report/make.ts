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
  readonly html: boolean;
  readonly pdf: boolean;
}

export interface Reports {
  readonly html: Uint8Array | null;
  readonly pdf: Uint8Array | null;
}

export async function makeReports({ record, pictures, html, pdf }: ReportOrder): Promise<Reports> {
  const content = contentOf(record, english);
  return {
    html: html ? new TextEncoder().encode(await htmlReport(content, pictures)) : null,
    pdf: pdf ? await pdfReport(content, pictures, new Date(record.made_at)) : null,
  };
}
