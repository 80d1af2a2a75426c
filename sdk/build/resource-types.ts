/**
 * `sdk/resources.ts`: the API's resources as plain TypeScript, written from the zod schemas that validate them, so that
 * the published client needs neither these schemas nor zod.
 */
import {
  account,
  accountChange,
  accountPage,
  apiKey,
  apiKeyList,
  createdAccount,
  createdApiKey,
  newAccount,
  usage,
} from "@omni-iml/shared/accounts";
import {
  analysis,
  analysisOptions,
  analysisPage,
  analysisSummary,
  region,
  resultFile,
} from "@omni-iml/shared/analysis";
import { batch, batchItem, batchItemPage, newBatch } from "@omni-iml/shared/batches";
import { erasure } from "@omni-iml/shared/erasure";
import { stageEvent, statusEvent } from "@omni-iml/shared/events";
import { newFeedback } from "@omni-iml/shared/feedback";
import { indexRebuild } from "@omni-iml/shared/index-rebuild";
import { modelCard } from "@omni-iml/shared/models";
import { problemCode, problemDocument } from "@omni-iml/shared/problems";
import { newUpload, upload } from "@omni-iml/shared/uploads";
import { webhookMessage } from "@omni-iml/shared/webhook-messages";
import {
  createdWebhookEndpoint,
  newWebhookEndpoint,
  requestWebhook,
  rotateWebhookSecret,
  webhookDelivery,
  webhookDeliveryPage,
  webhookEndpoint,
  webhookEndpointChange,
  webhookEndpointList,
  webhookReplay,
  webhookSecret,
} from "@omni-iml/shared/webhooks";
import { z } from "zod";

const answers = {
  Analysis: analysis,
  AnalysisSummary: analysisSummary,
  AnalysisPage: analysisPage,
  Region: region,
  ResultFile: resultFile,
  StatusChange: statusEvent,
  StageChange: stageEvent,
  Erasure: erasure,
  Upload: upload,
  Batch: batch,
  BatchItem: batchItem,
  BatchItemPage: batchItemPage,
  WebhookMessage: webhookMessage,
  WebhookEndpoint: webhookEndpoint,
  CreatedWebhookEndpoint: createdWebhookEndpoint,
  WebhookEndpointList: webhookEndpointList,
  WebhookSecret: webhookSecret,
  WebhookReplay: webhookReplay,
  WebhookDelivery: webhookDelivery,
  WebhookDeliveryPage: webhookDeliveryPage,
  ApiKey: apiKey,
  CreatedApiKey: createdApiKey,
  ApiKeyList: apiKeyList,
  Account: account,
  AccountPage: accountPage,
  CreatedAccount: createdAccount,
  Usage: usage,
  IndexRebuild: indexRebuild,
  Model: modelCard,
  Problem: problemDocument,
  ProblemCode: problemCode,
};

/** What is sent: defaults are not filled in yet, so that more may be left out. */
const requests = {
  NewAnalysisOptions: analysisOptions,
  RequestWebhook: requestWebhook,
  NewUpload: newUpload,
  NewBatch: newBatch,
  NewFeedback: newFeedback,
  NewWebhookEndpoint: newWebhookEndpoint,
  WebhookEndpointChange: webhookEndpointChange,
  RotateWebhookSecret: rotateWebhookSecret,
  NewAccount: newAccount,
  AccountChange: accountChange,
};

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** The file's text. */
export function resourceTypes(): string {
  const declarations = new Map<string, JsonSchema>();
  for (const [name, schema] of [...named(answers, "output"), ...named(requests, "input")]) {
    if (!declarations.has(name)) declarations.set(name, schema);
  }
  const head =
    "/** Written by `npm run resources` from shared/; the API's own description of it all is /openapi.json. */";
  const sorted = [...declarations].sort(([a], [b]) => (a < b ? -1 : 1));
  return [head, ...sorted.map(([name, schema]) => declaration(name, schema))].join("\n\n").concat("\n");
}

/** JSON Schemas by the name that each type is to have; schemas inside that have an id of their own are among them. */
function named(schemas: Record<string, z.ZodType>, io: "input" | "output"): [string, JsonSchema][] {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(schemas)) registry.add(schema, { id });
  const converted = z.toJSONSchema(registry, { io, uri: (id) => id }).schemas;
  const { __shared: shared, ...own } = converted;
  return [...Object.entries(own), ...Object.entries((shared?.$defs ?? {}) satisfies Record<string, JsonSchema>)];
}

function declaration(name: string, schema: JsonSchema): string {
  const doc = comment(schema.description, "");
  if (schema.type === "object" && schema.properties) return `${doc}export interface ${name} ${type(schema, "")}`;
  return `${doc}export type ${name} = ${type(schema, "")};`;
}

function type(schema: JsonSchema, indent: string): string {
  if (schema.$ref !== undefined) return schema.$ref.replace(/^.*\//, "");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map((choice) => type(choice, indent)).join(" | ");
  if (Array.isArray(schema.type)) return schema.type.map((one) => type({ ...schema, type: one }, indent)).join(" | ");
  switch (schema.type) {
    case "object":
      return object(schema, indent);
    case "array":
      return array(schema, indent);
    case "integer":
    case "number":
      return "number";
    case "string":
    case "boolean":
    case "null":
      return schema.type;
    case undefined:
      return "unknown";
    default:
      throw new Error(`no TypeScript is known for ${JSON.stringify(schema)}`);
  }
}

function object(schema: JsonSchema, indent: string): string {
  if (schema.properties) {
    const inner = `${indent}  `;
    const required = new Set(schema.required);
    const lines = Object.entries(schema.properties).map(([name, property]) => {
      if (typeof property === "boolean") throw new Error(`${name} is no property`);
      // What is sent may also be undefined: JSON leaves it out.
      const optional = required.has(name) ? ["", ""] : ["?", " | undefined"];
      return `${comment(property.description, inner)}${inner}${name}${optional[0]}: ${type(property, inner)}${optional[1]};\n`;
    });
    return `{\n${lines.join("")}${indent}}`;
  }
  const values = schema.additionalProperties;
  const value = typeof values === "object" ? type(values, indent) : "unknown";
  const names = schema.propertyNames;
  if (typeof names === "object" && names.enum) return `Partial<Record<${type(names, indent)}, ${value}>>`;
  return `Record<string, ${value}>`;
}

function array({ items, prefixItems }: JsonSchema, indent: string): string {
  if (prefixItems) {
    return `[${prefixItems.map((item) => type(typeof item === "boolean" ? {} : item, indent)).join(", ")}]`;
  }
  const item = typeof items === "object" && !Array.isArray(items) ? type(items, indent) : "unknown";
  return / [|] |\{/.test(item) ? `Array<${item}>` : `${item}[]`;
}

function comment(description: string | undefined, indent: string): string {
  return description === undefined ? "" : `${indent}/** ${description.replaceAll("*/", "* /")} */\n`;
}
