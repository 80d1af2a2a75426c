/** `omni-iml admin`: the keys of one's own account, its usage, and, for operators, accounts and the index. */
import { type Resource, readResource } from "../answer.ts";
import { Page } from "../page.ts";
import type {
  Account,
  AccountPage,
  ApiKey,
  ApiKeyList,
  CreatedAccount,
  CreatedApiKey,
  IndexRebuild,
  Usage,
} from "../resources.ts";
import type { Query, Transport } from "../transport.ts";
import { parseArguments } from "./arguments.ts";
import { table } from "./table.ts";
import { UsageError } from "./usage-error.ts";

export const adminUsage = `omni-iml admin keys list
omni-iml admin keys create NAME [--scopes read,write,admin] [--expires-in 90d]
omni-iml admin keys roll ID [--expire-old-in 1h]
omni-iml admin keys revoke ID
omni-iml admin usage [--from 2026-11-01] [--to 2026-11-30]
omni-iml admin rebuild-index
omni-iml admin accounts list
omni-iml admin accounts create NAME [--monthly-quota N] [--requests-per-minute N] [--in-flight-limit N]
                                    [--retention 2d | default]
omni-iml admin accounts change ID [the same] [--disable | --enable]
--json   the answer of the service as it is`;

const options = {
  json: { type: "boolean", default: false },
  scopes: { type: "string" },
  "expires-in": { type: "string" },
  "expire-old-in": { type: "string" },
  from: { type: "string" },
  to: { type: "string" },
  "monthly-quota": { type: "string" },
  "requests-per-minute": { type: "string" },
  "in-flight-limit": { type: "string" },
  retention: { type: "string" },
  disable: { type: "boolean" },
  enable: { type: "boolean" },
} as const;

type Values = ReturnType<typeof parseArguments<typeof options>>["values"];

/** Runs the command and answers what there is to print. Throws {@link UsageError} and what {@link Transport} throws. */
export async function admin(args: string[], transport: Transport): Promise<string> {
  const { values, positionals } = parseArguments(args, options);
  const alone = oneWord.has(positionals[0] ?? "");
  const [room, action, subject, ...more] = alone ? [positionals[0], "", ...positionals.slice(1)] : positionals;
  const command = alone ? `${room}` : `${room} ${action}`;
  const known = commands[command];
  const given = positionals.length - (alone ? 1 : 2);
  if (known === undefined) throw new UsageError(`there is no command admin ${positionals.join(" ")}`);
  if (more.length > 0 || given !== (known.subject ? 1 : 0)) {
    throw new UsageError(`admin ${command} takes ${known.subject ?? "no argument"}`);
  }
  const allowed = new Set<string>(["json", ...known.options]);
  const foreign = Object.keys(values).find((name) => !allowed.has(name));
  if (foreign !== undefined) throw new UsageError(`admin ${command} has no option --${foreign}`);
  const { answer, text } = await known.run(transport, subject ?? "", values);
  return values.json ? JSON.stringify(answer, null, 2) : text;
}

interface Command {
  /** The argument it takes. */
  subject?: "NAME" | "ID";
  options: readonly (keyof typeof options)[];
  run(transport: Transport, subject: string, values: Values): Promise<{ answer: unknown; text: string }>;
}

/** Commands of one word. */
const oneWord: ReadonlySet<string> = new Set(["usage", "rebuild-index"]);

const limits = ["monthly-quota", "requests-per-minute", "in-flight-limit"] as const;
const accountSettings = [...limits, "retention"] as const;

const commands: Readonly<Record<string, Command>> = {
  "keys list": {
    options: [],
    run: async (transport) => {
      const answer = await call<ApiKeyList>(transport, "list", "GET", "/v1/api-keys");
      const text = table(
        ["id", "name", "prefix", "scopes", "expires", "last used", "revoked"],
        answer.data.map((key) => [
          key.id,
          key.name,
          key.prefix,
          key.scopes.join(","),
          key.expires_at,
          key.last_used_at,
          key.revoked_at,
        ]),
      );
      return { answer, text };
    },
  },
  "keys create": {
    subject: "NAME",
    options: ["scopes", "expires-in"],
    run: async (transport, name, values) => {
      const answer = await call<CreatedApiKey>(transport, "api_key", "POST", "/v1/api-keys", {
        json: { name, scopes: values.scopes?.split(","), expires_in_s: seconds(values["expires-in"]) },
      });
      return { answer, text: `${answer.id}\n${answer.key}` };
    },
  },
  "keys roll": {
    subject: "ID",
    options: ["expire-old-in"],
    run: async (transport, id, values) => {
      const answer = await call<CreatedApiKey>(
        transport,
        "api_key",
        "POST",
        `/v1/api-keys/${encodeURIComponent(id)}/roll`,
        {
          json: { expire_old_in_s: seconds(values["expire-old-in"]) },
        },
      );
      return { answer, text: `${answer.id}\n${answer.key}` };
    },
  },
  "keys revoke": {
    subject: "ID",
    options: [],
    run: async (transport, id) => {
      const answer = await call<ApiKey>(transport, "api_key", "DELETE", `/v1/api-keys/${encodeURIComponent(id)}`);
      return { answer, text: `${answer.id} was revoked at ${answer.revoked_at}` };
    },
  },
  usage: {
    options: ["from", "to"],
    run: async (transport, _, { from, to }) => {
      const answer = await call<Usage>(transport, "usage", "GET", "/v1/usage", { query: { from, to } });
      const { month, days } = answer;
      const head = `${month.month}: ${month.used} of ${month.quota} analyses\n`;
      const columns = ["date", "analyses", "succeeded", "failed", "canceled", "cached", "bytes"] as const;
      const rows = days.map((day) => columns.map((column) => String(day[column])));
      return { answer, text: head + table([...columns], rows) };
    },
  },
  "rebuild-index": {
    options: [],
    run: async (transport) => {
      const answer = { object: "index_rebuild", records: 0, unreadable: [], next_cursor: null } satisfies IndexRebuild;
      const unreadable: string[] = [];
      let cursor: string | undefined;
      do {
        const step: IndexRebuild = await call<IndexRebuild>(transport, "index_rebuild", "POST", "/v1/index/rebuild", {
          query: { cursor },
        });
        answer.records += step.records;
        unreadable.push(...step.unreadable);
        cursor = step.next_cursor ?? undefined;
      } while (cursor !== undefined);
      const text = [`${answer.records} records read`, ...unreadable.map((key) => `cannot be read: ${key}`)].join("\n");
      return { answer: { ...answer, unreadable }, text };
    },
  },
  "accounts list": {
    options: [],
    run: async (transport) => {
      const data: Account[] = [];
      const pages = Page.first<Account>(undefined, (cursor) =>
        call<AccountPage>(transport, "list", "GET", "/v1/accounts", { query: { limit: 100, cursor } }),
      );
      for await (const one of await pages) data.push(one);
      const text = table(
        ["id", "name", "a month", "a minute", "in flight", "kept", "disabled"],
        data.map((one) => [
          one.id,
          one.name,
          String(one.monthly_quota),
          String(one.requests_per_minute),
          String(one.in_flight_limit),
          one.retention_s === null ? null : `${one.retention_s} s`,
          one.disabled_at,
        ]),
      );
      return { answer: data, text };
    },
  },
  "accounts create": {
    subject: "NAME",
    options: accountSettings,
    run: async (transport, name, values) => {
      const answer = await call<CreatedAccount>(transport, "account", "POST", "/v1/accounts", {
        json: { name, ...settingsOf(values) },
      });
      return { answer, text: `${answer.id}\n${answer.api_key.key}` };
    },
  },
  "accounts change": {
    subject: "ID",
    options: [...accountSettings, "disable", "enable"],
    run: async (transport, id, values) => {
      if (values.disable && values.enable) throw new UsageError("--disable and --enable exclude each other");
      const disabled = values.disable ? true : values.enable ? false : undefined;
      const change = { ...settingsOf(values), disabled };
      const answer = await call<Account>(transport, "account", "PATCH", `/v1/accounts/${encodeURIComponent(id)}`, {
        json: change,
      });
      return { answer, text: `${answer.id} was changed` };
    },
  },
};

async function call<Expected extends Resource>(
  transport: Transport,
  object: Expected["object"],
  method: "GET" | "POST" | "PATCH" | "DELETE",
  path: string,
  more: { json?: object; query?: Query } = {},
): Promise<Expected> {
  return readResource<Expected>(await transport.send({ method, path, ...more }), object);
}

function settingsOf(values: Values) {
  const whole = (name: (typeof limits)[number]) => {
    const value = values[name];
    if (value !== undefined && !/^\d{1,10}$/.test(value)) throw new UsageError(`--${name} takes a whole number`);
    return value === undefined ? undefined : Number(value);
  };
  return {
    monthly_quota: whole("monthly-quota"),
    requests_per_minute: whole("requests-per-minute"),
    in_flight_limit: whole("in-flight-limit"),
    // For so long results are kept; `null` is as the deployment says.
    retention_s: values.retention === "default" ? null : seconds(values.retention),
  };
}

const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** Seconds of `90d`, `12h`, `30m`, `45s`. */
function seconds(duration: string | undefined): number | undefined {
  if (duration === undefined) return undefined;
  const [, amount, unit] = /^(\d{1,9})([smhd])$/.exec(duration) ?? [];
  if (amount === undefined) throw new UsageError(`${duration} is no time such as 90d, 12h, 30m or 45s`);
  return Number(amount) * (units[unit ?? ""] ?? 1);
}
