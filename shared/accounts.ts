/** Accounts, their API keys and what they used, as the public API shows them. */
import { z } from "zod";
import { idSchema } from "./ids.ts";

/** `read` sees, `write` creates, cancels and erases, `admin` rules over the account's keys. None implies another. */
export const scopes = ["read", "write", "admin"] as const;
export type Scope = (typeof scopes)[number];

export const apiKey = z
  .object({
    id: idSchema("apiKey"),
    object: z.literal("api_key"),
    name: z.string(),
    prefix: z.string().meta({
      description: "The beginning of the key, by which its owner recognises it; it is no secret.",
      example: "omni_live_4k7m2x9qz1bc",
    }),
    scopes: z.array(z.enum(scopes)),
    created_at: z.iso.datetime(),
    expires_at: z.iso.datetime().nullable(),
    last_used_at: z.iso.datetime().nullable().meta({ description: "To the minute." }),
    revoked_at: z.iso.datetime().nullable(),
  })
  .meta({ id: "ApiKey" });
export type ApiKey = z.infer<typeof apiKey>;

/** The only answer that ever shows the key itself. */
export const createdApiKey = apiKey
  .extend({
    key: z.string().nullable().meta({
      description:
        "Keep it now: only a hash of it is stored. `null` where the request only repeats an earlier one under the same Idempotency-Key.",
    }),
  })
  .meta({ id: "CreatedApiKey" });
export type CreatedApiKey = z.infer<typeof createdApiKey>;

export const apiKeyList = z.object({ object: z.literal("list"), data: z.array(apiKey) }).meta({ id: "ApiKeyList" });

const longestLife = 10 * 366 * 86_400;

export const newApiKey = z
  .strictObject({
    name: z.string().trim().min(1).max(100),
    scopes: z
      .array(z.enum(scopes))
      .min(1)
      .max(scopes.length)
      .refine((list) => new Set(list).size === list.length, "names a scope twice")
      .default(["read", "write"]),
    expires_in_s: z
      .int()
      .min(60)
      .max(longestLife)
      .optional()
      .meta({ description: "Seconds until the key expires; never, where this is left out." }),
  })
  .meta({ id: "NewApiKey" });

export const rollApiKey = z
  .strictObject({
    expire_old_in_s: z
      .int()
      .min(0)
      .max(30 * 86_400)
      .default(0)
      .meta({ description: "Seconds for which the old key goes on working, so that clients can be changed over." }),
  })
  .meta({ id: "RollApiKey" });

const limit = z.int().min(1);
export const accountLimits = z.object({
  requests_per_minute: limit.max(1_000_000),
  in_flight_limit: limit.max(1_000_000),
  monthly_quota: z.int().min(0).max(1_000_000_000),
  retention_s: z
    .int()
    .min(60)
    .max(30 * 86_400)
    .nullable()
    .meta({ description: "Seconds for which results are kept; `null`: as the deployment says." }),
});

export const account = z
  .object({
    id: idSchema("account"),
    object: z.literal("account"),
    name: z.string(),
    created_at: z.iso.datetime(),
    disabled_at: z.iso.datetime().nullable(),
    ...accountLimits.shape,
  })
  .meta({ id: "Account" });
export type Account = z.infer<typeof account>;

export const accountPage = z
  .object({ object: z.literal("list"), data: z.array(account), next_cursor: z.string().nullable() })
  .meta({ id: "AccountPage" });

const accountName = z.string().trim().min(1).max(100);
export const newAccount = z.strictObject({ name: accountName, ...accountLimits.partial().shape }).meta({
  id: "NewAccount",
});
export const accountChange = z
  .strictObject({ name: accountName.optional(), disabled: z.boolean().optional(), ...accountLimits.partial().shape })
  .refine((change) => Object.keys(change).length > 0, "names no change")
  .meta({ id: "AccountChange", minProperties: 1 });

/** A new account comes with a first key that has every scope. */
export const createdAccount = account.extend({ api_key: createdApiKey }).meta({ id: "CreatedAccount" });

/** One day, UTC. What was refused at the border is in none of the numbers. */
export const usageDay = z
  .object({
    date: z.iso.date(),
    analyses: z.int().meta({ description: "Accepted on this day; these count against the quota." }),
    succeeded: z.int().meta({ description: "Ended on this day, like the next three." }),
    failed: z.int(),
    canceled: z.int(),
    cached: z.int().meta({ description: "Of those that succeeded: answered without the model." }),
    bytes: z.int().meta({ description: "Of the images of those that ended." }),
  })
  .meta({ id: "UsageDay" });
export type UsageDay = z.infer<typeof usageDay>;

export const usage = z
  .object({
    object: z.literal("usage"),
    month: z.object({
      month: z.string().meta({ example: "2026-11" }),
      quota: z.int(),
      used: z.int(),
      remaining: z.int(),
      resets_at: z.iso.datetime(),
    }),
    in_flight: z.object({ limit: z.int(), used: z.int() }),
    days: z.array(usageDay).meta({ description: "Days on which something happened, oldest first." }),
  })
  .meta({ id: "Usage" });
export type Usage = z.infer<typeof usage>;
