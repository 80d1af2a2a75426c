/**
 * `/docs`: the reference as one page, made from the same document as `/openapi.json`. No script, no font, nothing from
 * elsewhere: it works offline, prints, and needs no exception in the content security policy but its own style sheet.
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { problemKinds } from "@omni-iml/shared/problems";
import { html } from "hono/html";
import type { App } from "../middleware/app-types.ts";
import { command, sample } from "./reference-examples.ts";

type Document = ReturnType<OpenAPIHono<App>["getOpenAPI31Document"]>;
export type Schemas = NonNullable<NonNullable<Document["components"]>["schemas"]>;
export type Schema = Schemas[string];
type SchemaObject = Exclude<Schema, { $ref: string }>;
type PathItem = NonNullable<Document["paths"]>[string];
export type Operation = NonNullable<PathItem["get"]>;
/** The generator puts answers in place, never as references. */
interface Answer {
  description?: string;
  content?: Record<string, { schema?: Schema }>;
}
type Markup = ReturnType<typeof html> | string;

/** In the order in which they are shown at one address: what is made there first. */
const methods = ["post", "get", "patch", "delete"] as const;
/** Fields within fields are shown with dots, so deep. */
const deepest = 2;

interface Entry {
  path: string;
  method: (typeof methods)[number];
  operation: Operation;
}

/** The page. `document` is what `/openapi.json` answers. */
export function referencePage(document: Document) {
  const schemas = document.components?.schemas ?? {};
  const entries: Entry[] = Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
    methods.flatMap((method) => {
      const operation = item[method];
      return operation ? [{ path, method, operation }] : [];
    }),
  );
  const resources = (document.tags ?? []).map((tag) => ({
    ...tag,
    entries: entries.filter(({ operation }) => operation.tags?.includes(tag.name)),
  }));
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${document.info.title} API</title>
<link rel="stylesheet" href="/docs/style.css">
</head>
<body>
<nav aria-label="Reference"><a href="#top"><b>${document.info.title} API</b></a>
${resources.map(
  ({ name, entries: own }) =>
    html`<strong>${name}</strong><ul>${own.map(
      ({ operation }) => html`<li><a href="#${operation.operationId}">${operation.summary}</a></li>`,
    )}</ul>`,
)}
<strong>More</strong><ul><li><a href="#schemas">Schemas</a></li><li><a href="#problems">Problems</a></li></ul>
</nav>
<main id="top">
<h1>${document.info.title} API</h1>
<p>${prose(document.info.description ?? "")}</p>
<p>The same for programs, as OpenAPI ${document.openapi}: <a href="/openapi.json">/openapi.json</a>. Requests carry
<code>Authorization: Bearer omni_live_…</code>; in the examples <code>$KEY</code> is that key and <code>$API</code> this service's address.
Every POST takes an <code>Idempotency-Key</code> where it is listed, every refusal is one of the <a href="#problems">problems</a> below, and every
answer names itself in <code>Omni-Request-Id</code>. Times are RFC 3339 in UTC. Fields marked with * are always there.</p>
${resources.map(
  ({ name, description, entries: own }) => html`<section aria-label="${name}">
<h2>${name}</h2><p class="quiet">${prose(description ?? "")}</p>
${own.map((entry) => operationArticle(entry, schemas))}
</section>`,
)}
<section id="schemas" aria-label="Schemas"><h2>Schemas</h2>
${Object.entries(schemas).map(
  ([name, schema]) => html`<article id="schema-${name}"><div><h3>${name}</h3>
<p>${prose("description" in schema ? (schema.description ?? "") : "")}</p>${fields(schema)}</div>
<div class="shown"><details><summary>Example</summary><pre>${JSON.stringify(sample(schema, schemas), null, 2)}</pre></details></div></article>`,
)}
</section>
<section id="problems" aria-label="Problems"><h2>Problems</h2>
<p>Every refusal is <code>application/problem+json</code> (RFC 9457), a <a href="#schema-Problem">Problem</a> with one of these codes.</p>
<div class="scroll"><table><tr><th>code</th><th>status</th><th>cause</th><th>what to do</th></tr>
${Object.entries(problemKinds).map(
  ([code, { status, title, cause, remedy }]) =>
    html`<tr id="${code}"><td><code>${code}</code></td><td>${status}</td><td><b>${title}.</b> ${prose(cause)}</td><td>${prose(remedy)}</td></tr>`,
)}
</table></div></section>
</main>
</body></html>`;
}

function operationArticle({ path, method, operation }: Entry, schemas: Schemas) {
  const answers: [string, Answer][] = Object.entries(operation.responses ?? {});
  const good = answers.find(([status]) => status.startsWith("2"));
  const json = good?.[1].content?.["application/json"]?.schema;
  return html`<article id="${operation.operationId}"><div>
<h3>${operation.summary}</h3>
<p class="address ${method}"><span class="method">${method}</span> <code>${path}</code></p>
<p>${prose(operation.description ?? "")}</p>
${parameters(operation)}${requestBody(operation)}${responses(answers)}
</div><div class="shown">
<h4>Request</h4><pre>${command(method, path, operation, schemas)}</pre>
${json ? html`<h4>Answer ${good?.[0]}</h4><pre>${JSON.stringify(sample(json, schemas), null, 2)}</pre>` : ""}
</div></article>`;
}

function parameters(operation: Operation): Markup {
  const rows = (operation.parameters ?? []).flatMap((parameter) => ("name" in parameter ? [parameter] : []));
  if (rows.length === 0) return "";
  return html`<h4>Parameters</h4><div class="scroll"><table>${rows.map(
    ({ name, in: place, required, schema, description, content }) => {
      const type = schema ?? Object.values(content ?? {})[0]?.schema;
      return html`<tr><td><code>${name}</code>${required ? " *" : ""}<br><small>${place}</small></td>
<td>${type ? typeOf(type) : ""}${description || defaultOf(type) ? html`<br>` : ""}${prose(description ?? "")}${defaultOf(type)}</td></tr>`;
    },
  )}</table></div>`;
}

function requestBody({ requestBody: body }: Operation): Markup {
  if (!body || !("content" in body)) return "";
  const forms = Object.entries(body.content);
  // Images differ in nothing but their type.
  const raw = forms.filter(([, { schema }]) => schema && !("$ref" in schema) && schema.format === "binary");
  const structured = forms.filter((form) => !raw.includes(form));
  return html`<h4>Body${body.required ? "" : " (may be left out)"}</h4>
${structured.map(
  ([type, { schema }]) => html`<p><code>${type}</code> ${schema && "$ref" in schema ? typeOf(schema) : ""}</p>
${schema && !("$ref" in schema) ? fields(schema) : ""}`,
)}
${raw.length > 0 ? html`<p>the image itself: ${raw.map(([type], i) => html`${i > 0 ? ", " : ""}<code>${type}</code>`)}</p>` : ""}`;
}

function responses(answers: readonly [string, Answer][]): Markup {
  return html`<h4>Answers</h4><div class="scroll"><table>${answers.map(([status, answer]) => {
    const schema = Object.values(answer.content ?? {})[0]?.schema;
    return html`<tr><td class="status">${status}</td><td>${status < "4" ? prose(answer.description ?? "") : problemList(answer.description ?? "")}
${schema && status < "4" ? html`<br>${typeOf(schema)}` : ""}</td></tr>`;
  })}</table></div>`;
}

/** Codes lead to what is to be done about them. */
function problemList(description: string): Markup {
  return html`${description.split("`").map((part, i) => (i % 2 ? html`<a href="#${part}"><code>${part}</code></a>` : part))}`;
}

/** Text in which code stands between backticks. */
function prose(text: string): Markup {
  return html`${text.split("`").map((part, i) => (i % 2 ? html`<code>${part}</code>` : part))}`;
}

function fields(schema: Schema): Markup {
  if ("$ref" in schema || !schema.properties) return html`<p>${typeOf(schema)}</p>`;
  return html`<div class="scroll"><table>${fieldRows(schema, "", 0)}</table></div>`;
}

function fieldRows(schema: SchemaObject, prefix: string, depth: number): Markup[] {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const description = "description" in property ? (property.description ?? "") : "";
    const row = html`<tr><td><code>${prefix}${name}</code>${required.has(name) ? " *" : ""}</td>
<td>${typeOf(property)}${description || defaultOf(property) ? html`<br>` : ""}${prose(description)}${defaultOf(property)}</td></tr>`;
    const parts = partsOf(property);
    if (parts === null || depth >= deepest) return [row];
    return [row, ...fieldRows(parts.schema, `${prefix}${name}${parts.list ? "[]" : ""}.`, depth + 1)];
  });
}

/** The object without a name of its own that a field holds, if it does. */
function partsOf(schema: Schema): { schema: SchemaObject; list: boolean } | null {
  if ("$ref" in schema) return null;
  if (schema.properties) return { schema, list: false };
  if (schema.items) {
    const inner = partsOf(schema.items);
    return inner && { ...inner, list: true };
  }
  for (const one of schema.anyOf ?? []) {
    const inner = partsOf(one);
    if (inner !== null) return inner;
  }
  return null;
}

function defaultOf(schema: Schema | undefined): Markup {
  if (schema === undefined || "$ref" in schema || schema.default === undefined) return "";
  return html` <small>Default: <code>${JSON.stringify(schema.default)}</code></small>`;
}

/** A type in a few words, with links to those that have a name. */
function typeOf(schema: Schema): Markup {
  if ("$ref" in schema) {
    const name = schema.$ref.replace(/^.*\//, "");
    return html`<a href="#schema-${name}">${name}</a>`;
  }
  const several = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (several) return html`${several.map((one, i) => html`${i > 0 ? " or " : ""}${typeOf(one)}`)}`;
  if (schema.enum) {
    return html`${schema.enum.map((value, i) => html`${i > 0 ? " | " : ""}<code>${JSON.stringify(value)}</code>`)}`;
  }
  if (schema.const !== undefined) return html`<code>${JSON.stringify(schema.const)}</code>`;
  if (schema.items) return html`list of ${typeOf(schema.items)}`;
  return describeScalar(schema);
}

function describeScalar({ type, format, minimum, maximum, maxLength }: SchemaObject): string {
  const name = [type ?? "any"].flat().join(" or ");
  const bounds = [
    format,
    minimum !== undefined && `≥ ${minimum}`,
    maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER && `≤ ${maximum}`,
    maxLength !== undefined && `up to ${maxLength} characters`,
  ].filter(Boolean);
  return bounds.length > 0 ? `${name} (${bounds.join(", ")})` : name;
}
