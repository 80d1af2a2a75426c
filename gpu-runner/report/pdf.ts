/**
 * The report as PDF, set up as PDF/A-2b so that it can be filed: fonts embedded, nothing fetched, its time the
 * record's. A4, with margins that leave it whole where it is printed on Letter.
 */
import { createRequire } from "node:module";
import { openSync } from "fontkit";
import pdfmake from "pdfmake";
import type { Content, TableCell, TDocumentDefinitions } from "pdfmake/interfaces.js";
import type { Fact, ReportContent } from "./content.ts";
import type { ReportPictures } from "./pictures.ts";

const require = createRequire(import.meta.url);
const fontFile = (style: string) => require.resolve(`pdfmake/fonts/Roboto/Roboto-${style}.ttf`);
const fonts = {
  normal: fontFile("Regular"),
  bold: fontFile("Medium"),
  italics: fontFile("Italic"),
  bolditalics: fontFile("MediumItalic"),
};
pdfmake.setFonts({ Roboto: fonts });
pdfmake.setUrlAccessPolicy(() => false);
const allowed = new Set(Object.values(fonts));
pdfmake.setLocalAccessPolicy((path) => allowed.has(path));

const font = openSync(fonts.normal);
if (!("hasGlyphForCodePoint" in font)) throw new Error("the report's font is a collection");
const glyphs = font;

const [ink, soft, line, shade] = ["#1b2128", "#55606c", "#d5dae0", "#f4f6f8"];
const tones = { tampered: "#b3261e", inconclusive: "#b26a00", no_tampering_detected: "#44556a" } as const;
const severities = { high: "#b3261e", medium: "#b26a00", low: soft, info: soft } as const;
/** Points. */
const [pageWidth, pageHeight, side, topAndBottom] = [595.28, 841.89, 45, 62];
const textWidth = pageWidth - 2 * side;

export async function pdfReport(content: ReportContent, pictures: ReportPictures, made: Date): Promise<Uint8Array> {
  const { words, verdict } = content;
  const { headings } = words;
  const definition: TDocumentDefinitions = {
    pageSize: { width: pageWidth, height: pageHeight },
    pageMargins: [side, topAndBottom, side, topAndBottom],
    version: "1.7",
    subset: "PDF/A-2b",
    language: content.language,
    info: {
      title: `${content.title} ${content.analysis}`,
      creator: content.product,
      producer: "pdfmake",
      creationDate: made,
      modDate: made,
    },
    defaultStyle: { font: "Roboto", fontSize: 9.5, lineHeight: 1.2, color: ink },
    styles: {
      heading: { fontSize: 12.5, bold: true, margin: [0, 14, 0, 5] },
      small: { fontSize: 8, color: soft },
      cell: { fontSize: 8.5 },
      head: { fontSize: 8.5, bold: true, color: soft },
    },
    header: (page) =>
      page === 1
        ? null
        : { text: `${content.title} · ${content.analysis}`, style: "small", margin: [side, 38, side, 0] },
    footer: (page, pages) => ({
      columns: [
        { text: `${content.product} · ${content.made} · ${words.footer}`, style: "small" },
        { text: words.pages(page, pages), style: "small", alignment: "right", width: "auto" },
      ],
      margin: [side, 18, side, 0],
    }),
    content: [
      {
        columns: [
          {
            stack: [
              { text: content.title, fontSize: 18, bold: true },
              { text: content.subtitle, color: soft },
            ],
          },
          { stack: [content.product, content.made], alignment: "right", color: soft, fontSize: 8.5, width: "auto" },
        ],
        columnGap: 20,
      },
      { canvas: [{ type: "line", x1: 0, y1: 5, x2: textWidth, y2: 5, lineWidth: 1.2, lineColor: ink }] },
      heading(headings.finding),
      verdictBox(content, tones[verdict.code]),
      ...(content.explanation === "" ? [] : [{ text: shown(content.explanation), margin: [0, 7, 0, 0] } as Content]),
      ...section(headings.pictures, {
        columns: [figure(pictures.image, content.captions.image), figure(pictures.overlay, content.captions.overlay)],
        columnGap: 12,
      }),
      ...regions(content, pictures),
      ...evidence(content),
      ...list(headings.caveats, content.caveats),
      ...list(headings.reading, content.reading),
      ...section(headings.identity, ...facts(content.facts)),
      ...files(content),
    ],
  };
  return pdfmake.createPdf(definition).getBuffer();
}

/** Characters that the font lacks, as their code points: the HTML report shows them as they are. */
function shown(text: string): string {
  return text.replace(/./gsu, (character) => {
    const codePoint = character.codePointAt(0) ?? 0;
    if (character === "\n" || glyphs.hasGlyphForCodePoint(codePoint)) return character;
    return `[U+${codePoint.toString(16).toUpperCase().padStart(4, "0")}]`;
  });
}

const bare = {
  hLineWidth: () => 0,
  vLineWidth: () => 0,
  paddingLeft: () => 0,
  paddingRight: () => 8,
};

/** A table below its heading: lines between its rows, the strongest below its head. */
const headed = (padding: number) => ({
  ...bare,
  hLineWidth: (row: number) => (row < 2 ? 0 : row === 2 ? 0.8 : 0.4),
  hLineColor: (row: number) => (row === 2 ? ink : line),
  paddingTop: (row: number) => (row === 0 ? 0 : padding),
  paddingBottom: (row: number) => (row === 0 ? 0 : padding),
});

function heading(text: string): Content {
  return { text, style: "heading" };
}

/** A heading never stands alone at a page's end: what it is the heading of begins on the same page. */
function section(title: string, first: Content = "", ...rest: Content[]): Content[] {
  return [{ unbreakable: true, stack: [heading(title), first] }, ...rest];
}

function list(title: string, items: readonly string[]): Content[] {
  const [first, ...rest] = items.map((item): Content => ({ ul: [shown(item)], unbreakable: true }));
  return section(title, first, ...rest);
}

/** A table under its heading; on each page where it goes on, heading and head stand again. */
function table(
  title: string,
  labels: readonly string[],
  widths: (number | "auto" | "*")[],
  rows: TableCell[][],
  padding = 4,
): Content {
  const spanned = labels.slice(1).map((): TableCell => "");
  return {
    table: {
      headerRows: 2,
      dontBreakRows: true,
      keepWithHeaderRows: 1,
      widths,
      body: [
        [{ text: title, style: "heading", colSpan: labels.length }, ...spanned],
        labels.map((text) => ({ text, style: "head" })),
        ...rows,
      ],
    },
    layout: headed(padding),
  };
}

/** Hashes and ids in full, each on its line; beneath them the rest, a column a section. */
function facts(sections: ReportContent["facts"]): Content[] {
  const exact = sections.flatMap(({ rows }) => rows.filter((row) => row.exact));
  const columns = sections.map(
    ({ heading: name, rows }): Content => ({
      stack: [
        { text: name, bold: true, color: soft, margin: [0, 0, 0, 2] },
        pairs(
          rows.filter((row) => !row.exact),
          62,
        ),
      ],
    }),
  );
  return [pairs(exact, 110), { unbreakable: true, margin: [0, 8, 0, 0], columns, columnGap: 10 }];
}

function pairs(rows: readonly Fact[], labelWidth: number): Content {
  return {
    table: {
      widths: [labelWidth, "*"],
      body: rows.map(({ label, value }) => [
        { text: label, style: "small" },
        { text: shown(value), fontSize: 8.5 },
      ]),
    },
    layout: { ...bare, paddingTop: () => 0.5, paddingBottom: () => 0.5 },
  };
}

function dataUrl(jpeg: Uint8Array): string {
  return `data:image/jpeg;base64,${Buffer.from(jpeg).toString("base64")}`;
}

function figure(picture: Uint8Array, caption: string): Content {
  const width = (textWidth - 12) / 2;
  return {
    stack: [
      { image: dataUrl(picture), fit: [width, 300] },
      { text: caption, style: "small", margin: [0, 3, 0, 0] },
    ],
  };
}

function verdictBox({ verdict, words }: ReportContent, tone: string): Content {
  return {
    table: {
      widths: [4, "*"],
      body: [
        [
          { text: "", fillColor: tone },
          {
            fillColor: shade,
            margin: [8, 5, 0, 5],
            stack: [
              { text: verdict.name, fontSize: 15, bold: true, color: tone },
              { text: `${words.labels.score} ${verdict.score} · ${verdict.thresholds}`, color: soft, fontSize: 8.5 },
            ],
          },
        ],
      ],
    },
    layout: { ...bare, paddingRight: () => 0, paddingTop: () => 0, paddingBottom: () => 0 },
  };
}

function regions({ regions: rows, regionsNote, words }: ReportContent, { crops }: ReportPictures): Content[] {
  const { labels, headings } = words;
  if (rows.length === 0) return section(headings.regions, { text: regionsNote ?? "" });
  const note: Content[] = regionsNote === null ? [] : [{ text: regionsNote, margin: [0, 4, 0, 0] }];
  const body = rows.map((row): TableCell[] => {
    const crop = crops.find(({ id }) => id === row.id);
    const picture: Content[] = crop === undefined ? [] : [{ image: dataUrl(crop.picture), fit: [66, 66] }];
    const content: Content[] = row.content === null ? [] : [{ text: shown(row.content), italics: true }];
    const [first = "", ...others] = row.where;
    return [
      { stack: [{ text: row.id, bold: true, margin: [0, 0, 0, 2] }, ...picture], style: "cell" },
      { stack: [first, ...others.map((text) => ({ text, color: soft }))], style: "cell" },
      { stack: [row.certainty, ...(row.what === null ? [] : [{ text: row.what, color: soft }])], style: "cell" },
      { stack: [reasons(row), ...content], style: "cell" },
    ];
  });
  const columns = [labels.region, labels.where, labels.what, labels.reasons];
  return [table(headings.regions, columns, [70, 105, 125, "*"], body), ...note];
}

function reasons({ reasons: given, noReasons }: ReportContent["regions"][number]): Content {
  return given.length === 0 ? { text: noReasons, color: soft } : { ul: given.map(shown) };
}

function evidence({ evidence: rows, evidenceNote, words }: ReportContent): Content[] {
  const { labels, headings } = words;
  if (rows.length === 0) return section(headings.evidence, { text: evidenceNote ?? "" });
  const body = rows.map(({ severity, weight, found, meaning, nextStep }): TableCell[] => [
    { text: weight, style: "cell", color: severities[severity], bold: severity === "high" || severity === "medium" },
    { text: shown(found), style: "cell" },
    {
      stack: [
        shown(meaning),
        ...(nextStep === null ? [] : [{ text: `${labels.next_step}: ${shown(nextStep)}`, color: soft }]),
      ],
      style: "cell",
    },
  ]);
  return [table(headings.evidence, [labels.severity, labels.found, labels.meaning], [70, 170, "*"], body)];
}

function files({ files: rows, words }: ReportContent): Content[] {
  const { labels, headings } = words;
  if (rows.length === 0) return [];
  const cell = (text: string): TableCell => ({ text, fontSize: 7.5 });
  const body = rows.map(({ name, type, bytes, sha256 }) => [cell(name), cell(type), cell(bytes), cell(sha256)]);
  const columns = [labels.file, labels.type, labels.bytes, labels.sha256];
  return [{ unbreakable: true, stack: [table(headings.files, columns, ["auto", "auto", "auto", "*"], body, 1.5)] }];
}
