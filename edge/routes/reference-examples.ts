/** Examples for the reference: what a schema's values look like, and the request of an operation as a command. */
import type { Operation, Schema, Schemas } from "./reference.ts";

const moment = "2026-11-24T09:30:00.000Z";

/** A value of the schema: its own example, or one put together from its parts. */
export function sample(schema: Schema, schemas: Schemas, inside: readonly string[] = []): unknown {
  if ("$ref" in schema) {
    const name = schema.$ref.replace(/^.*\//, "");
    const target = schemas[name];
    return target === undefined || inside.includes(name) ? null : sample(target, schemas, [...inside, name]);
  }
  if (schema.example !== undefined) return schema.example;
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  const several = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (several?.[0]) return sample(several[0], schemas, inside);
  if (schema.items) return [sample(schema.items, schemas, inside)];
  if (schema.properties) {
    const parts = Object.entries(schema.properties).map(([name, part]) => [name, sample(part, schemas, inside)]);
    return Object.fromEntries(parts);
  }
  if (schema.default !== undefined) return schema.default;
  const type = [schema.type].flat()[0];
  if (type === "string") return schema.format === "date-time" ? moment : schema.format === "date" ? "2026-11-01" : "…";
  if (type === "integer" || type === "number") return schema.minimum ?? 1;
  if (type === "boolean") return true;
  return type === "object" ? {} : null;
}

/** The operation as `curl` sends it, with `$API` and `$KEY` from the environment. */
export function command(method: string, path: string, operation: Operation, schemas: Schemas): string {
  const parameters = (operation.parameters ?? []).flatMap((parameter) => ("name" in parameter ? [parameter] : []));
  const filled = path.replaceAll(/\{(\w+)\}/g, (whole, name: string) => {
    const schema = parameters.find((parameter) => parameter.in === "path" && parameter.name === name)?.schema;
    const value = schema && sample(schema, schemas);
    return typeof value === "string" ? value : whole;
  });
  const parts = ["curl"];
  const body = operation.requestBody && "content" in operation.requestBody ? operation.requestBody : undefined;
  const json = body?.content["application/json"]?.schema;
  if (body?.content["multipart/form-data"]) parts.push("-F image=@photo.jpg");
  else if (json && body?.required) parts.push(`--json '${JSON.stringify(sample(json, schemas))}'`);
  else if (method !== "get") parts.push(`-X ${method.toUpperCase()}`);
  if (operation.operationId === "streamAnalysisEvents") parts.push("-N");
  if (operation.security?.length !== 0) parts.push('-H "Authorization: Bearer $KEY"');
  return [...parts, `$API${filled}`].join(" \\\n  ");
}
