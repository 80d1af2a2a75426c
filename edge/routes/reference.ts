/**
 * `/docs`: the reference as one page, made from the same document as `/openapi.json`. No script, no font, nothing from
 * elsewhere: it works offline, prints, and needs no exception in the content security policy but its own style sheet.
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { problemKinds } from "@omni-iml/shared/problems";
import { html } from "hono/html";
import type { App } from "../middleware/app-types.ts";

type Document = ReturnType<OpenAPIHono<App>["getOpenAPI31Document"]>;
type Components = NonNullable<Document["components"]>;
type Schema = NonNullable<Components["schemas"]>[string];
type SchemaObject = Exclude<Schema, { $ref: string }>;
type PathItem = NonNullable<Document["paths"]>[string];
type Operation = NonNullable<PathItem["get"]>;
/** The generator puts answers in place, never as references. */
interface Answer {
  description?: string;
  content?: Record<string, { schema?: Schema }>;
}

const methods = ["get", "post", "patch", "delete"] as const;

export const referenceStyle = `
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
code, pre { font: 14px/1.45 ui-monospace, monospace; }
pre { background: var(--soft); padding: .75rem; overflow-x: auto; border-radius: 6px; }
section { border-top: 1px solid var(--line); margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); }
nav ul { columns: 2; list-style: none; padding: 0; }
.method { text-transform: uppercase; font-weight: 600; }`;

/** The page. `document` is what `/openapi.json` answers. */
export function referencePage(document: Document) {
  const operations = Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
    methods.flatMap((method) => {
      const operation = item[method];
      return operation
        ? [{ path, method, operation, anchor: `${method}-${path.replaceAll(/[^a-z0-9]+/gi, "-")}` }]
        : [];
    }),
  );
  const schemas = Object.entries(document.components?.schemas ?? {});
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${document.info.title} API</title>
<link rel="stylesheet" href="/docs/style.css">
</head>
<body>
<h1>${document.info.title} API</h1>
<p>${document.info.description ?? ""}</p>
<p>The same as an OpenAPI document: <a href="/openapi.json">/openapi.json</a>. Every request but these pages and the health
checks carries <code>Authorization: Bearer omni_live_…</code>.</p>
<nav><ul>${operations.map(
    ({ path, method, anchor, operation }) =>
      html`<li><a href="#${anchor}"><span class="method">${method}</span> ${path}</a><br><small>${operation.summary ?? ""}</small></li>`,
  )}</ul></nav>
${operations.map(
  ({ path, method, anchor, operation }) => html`<section id="${anchor}">
<h2><span class="method">${method}</span> <code>${path}</code></h2>
<p><strong>${operation.summary ?? ""}.</strong> ${operation.description ?? ""}</p>
${parameters(operation)}${requestBody(operation)}${responses(operation)}
</section>`,
)}
<section id="schemas"><h2>Schemas</h2>
${schemas.map(([name, schema]) => html`<h3 id="schema-${name}">${name}</h3>${fields(schema)}${example(schema)}`)}
</section>
<section id="problems"><h2>Problems</h2>
<p>Every refusal is <code>application/problem+json</code> (RFC 9457) with one of these codes.</p>
<table><tr><th>code</th><th>status</th><th>meaning</th><th>what to do</th></tr>
${Object.entries(problemKinds).map(
  ([code, { status, title, remedy }]) =>
    html`<tr><td id="${code}"><code>${code}</code></td><td>${status}</td><td>${title}</td><td>${remedy}</td></tr>`,
)}
</table></section>
</body></html>`;
}

function parameters(operation: Operation) {
  const rows = (operation.parameters ?? []).flatMap((parameter) => ("name" in parameter ? [parameter] : []));
  if (rows.length === 0) return "";
  return html`<table><tr><th>parameter</th><th>in</th><th></th></tr>${rows.map(
    ({ name, in: place, required, schema, description }) =>
      html`<tr><td><code>${name}</code>${required ? " *" : ""}</td><td>${place}</td>
<td>${schema ? typeOf(schema) : ""} ${description ?? (schema && "description" in schema ? schema.description : "")}</td></tr>`,
  )}</table>`;
}

function requestBody({ requestBody: body }: Operation) {
  if (!body || !("content" in body)) return "";
  return html`<h4>Body</h4><ul>${Object.entries(body.content).map(
    ([type, { schema }]) => html`<li><code>${type}</code> ${schema ? typeOf(schema) : ""}</li>`,
  )}</ul>`;
}

function responses({ responses: answers }: Operation) {
  const rows: [string, Answer][] = Object.entries(answers ?? {});
  return html`<h4>Answers</h4><table>${rows.map(([status, answer]) => {
    const schema = Object.values(answer.content ?? {})[0]?.schema;
    return html`<tr><td>${status}</td><td>${answer.description}</td><td>${schema ? typeOf(schema) : ""}</td></tr>`;
  })}</table>`;
}

function fields(schema: Schema) {
  if (isReference(schema) || !schema.properties) return html`<p>${typeOf(schema)}</p>`;
  const required = new Set(schema.required ?? []);
  return html`<table>${Object.entries(schema.properties).map(
    ([name, property]) => html`<tr><td><code>${name}</code>${required.has(name) ? " *" : ""}</td>
<td>${typeOf(property)}</td><td>${isReference(property) ? "" : (property.description ?? "")}</td></tr>`,
  )}</table>`;
}

function example(schema: Schema) {
  if (isReference(schema) || schema.example === undefined) return "";
  return html`<details><summary>Example</summary><pre>${JSON.stringify(schema.example, null, 2)}</pre></details>`;
}

function isReference(schema: Schema): schema is Extract<Schema, { $ref: string }> {
  return "$ref" in schema;
}

/** A type in a few words, with links to those that have a name. */
function typeOf(schema: Schema): ReturnType<typeof html> | string {
  if (isReference(schema)) {
    const name = schema.$ref.replace(/^.*\//, "");
    return html`<a href="#schema-${name}">${name}</a>`;
  }
  const several = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (several) return html`${several.map((one, i) => html`${i > 0 ? " or " : ""}${typeOf(one)}`)}`;
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.items) return html`list of ${typeOf(schema.items)}`;
  return describeScalar(schema);
}

function describeScalar({ type, format, minimum, maximum, maxLength }: SchemaObject): string {
  const name = [type ?? "any"].flat().join(" | ");
  const bounds = [
    format,
    minimum !== undefined && `≥ ${minimum}`,
    maximum !== undefined && `≤ ${maximum}`,
    maxLength !== undefined && `up to ${maxLength} characters`,
  ].filter(Boolean);
  return bounds.length > 0 ? `${name} (${bounds.join(", ")})` : name;
}
