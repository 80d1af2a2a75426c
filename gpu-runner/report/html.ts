/**
 * The report as one HTML file that needs nothing else: pictures are in it, no script, nothing is fetched. What comes
 * out of an image (metadata, text that was read, a language model's words) is escaped, and a policy in the file itself
 * allows nothing but its own pictures and this one style.
 */
import { createHash } from "node:crypto";
import { html, raw } from "hono/html";
import type { ReportContent } from "./content.ts";
import type { ReportPictures } from "./pictures.ts";
import { style } from "./style.ts";

const styleHash = createHash("sha256").update(style).digest("base64");
const policy = `default-src 'none'; img-src data:; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'`;

type Markup = ReturnType<typeof html>;

export async function htmlReport(content: ReportContent, pictures: ReportPictures): Promise<string> {
  const { words, verdict, facts } = content;
  const { headings } = words;
  const page = await html`<!doctype html>
<html lang="${content.language}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${content.title} ${content.analysis}</title>
<style>${raw(style)}</style>
</head>
<body>
<header>
<div><h1>${content.title}</h1><p>${content.subtitle}</p></div>
<p class="made">${content.product}<br>${content.made}</p>
</header>
<main>
<h2>${headings.finding}</h2>
<div class="verdict ${verdict.code}">
<strong>${verdict.name}</strong>
<span>${words.labels.score} ${verdict.score} · ${verdict.thresholds}</span>
</div>
${content.explanation === "" ? "" : html`<p>${content.explanation}</p>`}
<h2>${headings.pictures}</h2>
<div class="figures">
${figure(pictures.image, content.captions.image)}
${figure(pictures.overlay, content.captions.overlay)}
</div>
<h2>${headings.regions}</h2>
${regions(content, pictures)}
<h2>${headings.evidence}</h2>
${evidence(content)}
<h2>${headings.caveats}</h2>
<ul>${content.caveats.map((caveat) => html`<li>${caveat}</li>`)}</ul>
<h2>${headings.reading}</h2>
<ul>${content.reading.map((sentence) => html`<li>${sentence}</li>`)}</ul>
<h2>${headings.identity}</h2>
<div class="facts">${facts.map(
    ({ heading, rows }) =>
      html`<section><h3>${heading}</h3><dl>${rows.map(
        ({ label, value, exact }) => html`<dt>${label}</dt><dd${exact ? raw(' class="exact"') : ""}>${value}</dd>`,
      )}</dl></section>`,
  )}</div>
${files(content)}
</main>
<footer>${content.product} · ${words.labels.analysis} ${content.analysis} · ${content.made} · ${words.footer}</footer>
</body>
</html>
`;
  return page.toString();
}

function dataUrl(jpeg: Uint8Array): string {
  return `data:image/jpeg;base64,${Buffer.from(jpeg).toString("base64")}`;
}

function figure(picture: Uint8Array, caption: string): Markup {
  return html`<figure><img src="${dataUrl(picture)}" alt="${caption}"><figcaption>${caption}</figcaption></figure>`;
}

function regions({ regions: rows, regionsNote, words }: ReportContent, { crops }: ReportPictures): Markup {
  const { labels } = words;
  const note = regionsNote === null ? "" : html`<p>${regionsNote}</p>`;
  if (rows.length === 0) return html`${note}`;
  return html`<table>
<thead><tr><th>${labels.region}</th><th>${labels.where}</th><th>${labels.what}</th><th>${labels.reasons}</th></tr></thead>
<tbody>${rows.map((row) => {
    const crop = crops.find(({ id }) => id === row.id);
    return html`<tr>
<td class="crop"><b>${row.id}</b>${crop === undefined ? "" : html`<img src="${dataUrl(crop.picture)}" alt="${row.id}">`}</td>
<td>${row.where.map((line, i) => (i === 0 ? line : html`<div>${line}</div>`))}</td>
<td>${row.certainty}${row.what === null ? "" : html`<div>${row.what}</div>`}</td>
<td>${row.reasons.length === 0 ? html`<div>${row.noReasons}</div>` : html`<ul>${row.reasons.map((reason) => html`<li>${reason}</li>`)}</ul>`}${
      row.content === null ? "" : html`<p class="quote">${row.content}</p>`
    }</td>
</tr>`;
  })}</tbody></table>${note}`;
}

function evidence({ evidence: rows, evidenceNote, words }: ReportContent): Markup {
  const { labels } = words;
  if (rows.length === 0) return html`<p>${evidenceNote}</p>`;
  return html`<table>
<thead><tr><th>${labels.severity}</th><th>${labels.found}</th><th>${labels.meaning}</th></tr></thead>
<tbody>${rows.map(
    ({ severity, weight, found, meaning, nextStep }) => html`<tr>
<td class="weight"><span class="${severity}">${weight}</span></td>
<td>${found}</td>
<td>${meaning}${nextStep === null ? "" : html`<div>${labels.next_step}: ${nextStep}</div>`}</td>
</tr>`,
  )}</tbody></table>`;
}

function files({ files: rows, words }: ReportContent): Markup {
  const { labels, headings } = words;
  if (rows.length === 0) return html``;
  return html`<h2>${headings.files}</h2>
<table>
<thead><tr><th>${labels.file}</th><th>${labels.type}</th><th>${labels.bytes}</th><th>${labels.sha256}</th></tr></thead>
<tbody>${rows.map(
    ({ name, type, bytes, sha256 }) =>
      html`<tr><td>${name}</td><td>${type}</td><td>${bytes}</td><td class="exact">${sha256}</td></tr>`,
  )}</tbody></table>`;
}
