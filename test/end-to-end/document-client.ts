/**
 * A client that knows nothing of this project but `/openapi.json`: operations by their `operationId`, and an independent
 * JSON Schema validator that holds whatever is sent and answered to what the document says.
 */
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { z } from "zod";

const media = z.record(z.string(), z.object({ schema: z.unknown() }));
const operation = z.object({
  operationId: z.string(),
  parameters: z.array(z.object({ name: z.string(), in: z.enum(["path", "query", "header"]) })).default([]),
  requestBody: z.object({ content: media }).optional(),
  responses: z.record(z.string(), z.object({ content: media.optional() })),
});
const openApiDocument = z.object({
  openapi: z.string().startsWith("3.1"),
  servers: z.array(z.object({ url: z.string() })).min(1),
  paths: z.record(z.string(), z.record(z.string(), operation)),
});

/** By the names that the document gives to parameters; `body` is JSON, or bytes of the `type`. */
export interface Call {
  parameters?: Readonly<Record<string, string | number>>;
  json?: unknown;
  bytes?: { type: string; content: Uint8Array<ArrayBuffer> };
}

export interface Answer {
  status: number;
  headers: Headers;
  body: unknown;
}

interface Operation {
  method: string;
  path: string;
  described: z.infer<typeof operation>;
}

export class DocumentClient {
  readonly #base: URL;
  readonly #key: string;
  readonly #operations = new Map<string, Operation>();
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true });

  private constructor(base: URL, key: string) {
    this.#base = base;
    this.#key = key;
  }

  static async of(address: string, key: string): Promise<DocumentClient> {
    const text = await (await fetch(address)).text();
    const { paths, servers } = openApiDocument.parse(JSON.parse(text));
    const client = new DocumentClient(new URL(servers[0]?.url ?? "/", address), key);
    addFormats.default(client.#ajv);
    client.#ajv.addSchema(JSON.parse(text), "document");
    for (const [path, item] of Object.entries(paths)) {
      for (const [method, described] of Object.entries(item)) {
        client.#operations.set(described.operationId, { method, path, described });
      }
    }
    return client;
  }

  /** Throws where the document knows no such operation, parameter, or body, and where the answer is none of its answers. */
  async call(operationId: string, { parameters = {}, json, bytes }: Call = {}): Promise<Answer> {
    const found = this.#operations.get(operationId);
    if (found === undefined) throw new Error(`the document has no operation ${operationId}`);
    const { method, path, described } = found;
    const url = new URL(this.#base);
    const headers = new Headers({ authorization: `Bearer ${this.#key}` });
    url.pathname = path;
    for (const [name, value] of Object.entries(parameters)) {
      const place = described.parameters.find((parameter) => parameter.name === name)?.in;
      if (place === undefined) throw new Error(`${operationId} has no parameter ${name}`);
      if (place === "header") headers.set(name, String(value));
      else if (place === "query") url.searchParams.set(name, String(value));
      else url.pathname = url.pathname.replace(encodeURI(`{${name}}`), encodeURIComponent(value));
    }
    const type = bytes?.type ?? (json === undefined ? undefined : "application/json");
    if (type !== undefined) {
      if (described.requestBody?.content[type] === undefined) throw new Error(`${operationId} takes no ${type}`);
      headers.set("content-type", type);
      if (json !== undefined) this.#expect(json, [path, method, "requestBody", "content", type, "schema"]);
    }
    const body = bytes?.content ?? (json === undefined ? null : JSON.stringify(json));
    const response = await fetch(url, { method: method.toUpperCase(), headers, body, redirect: "manual" });
    return this.#read(found, response);
  }

  async #read({ method, path, described }: Operation, response: Response): Promise<Answer> {
    const { status, headers } = response;
    const answer = described.responses[status];
    if (answer === undefined) throw new Error(`${described.operationId} has no answer ${status}`);
    const type = headers.get("content-type")?.split(";")[0];
    const text = await response.text();
    if (answer.content === undefined) {
      if (text !== "") throw new Error(`${described.operationId} ${status} should have no body`);
      return { status, headers, body: null };
    }
    if (type === undefined || answer.content[type] === undefined) {
      throw new Error(`${described.operationId} ${status} is not described as ${type}`);
    }
    const place = [path, method, "responses", String(status), "content", type, "schema"];
    const body: unknown = type.endsWith("json") ? JSON.parse(text) : text;
    for (const part of type === "text/event-stream" ? eventsOf(text) : [body]) this.#expect(part, place);
    return { status, headers, body };
  }

  /** Throws where a value does not fit the schema that stands at this place under the document's `paths`. */
  #expect(value: unknown, place: readonly string[]): void {
    const pointer = ["paths", ...place].map((part) => part.replaceAll("~", "~0").replaceAll("/", "~1"));
    const validate = this.#ajv.compile({ $ref: `document#/${pointer.map(encodeURIComponent).join("/")}` });
    if (!validate(value)) throw new Error(`${place.join(" ")}: ${this.#ajv.errorsText(validate.errors)}`);
  }
}

/** Fields by name, of each event of a stream that has ended; comments are left out. */
function eventsOf(stream: string): Record<string, string>[] {
  const events = stream.split("\n\n").map((event) => [...event.matchAll(/^(\w+): ?(.*)$/gm)]);
  return events
    .filter((fields) => fields.length > 0)
    .map((fields) => Object.fromEntries(fields.map(([, name = "", value = ""]) => [name, value])));
}
