/**
 * Webhooks as the public API shows them. What is sent follows Standard Webhooks (standardwebhooks.com) to the letter:
 * `webhook-id`, `webhook-timestamp`, `webhook-signature`, and a body of `type`, `timestamp` and `data`.
 */
import { z } from "zod";
import { idSchema } from "./ids.ts";

/** What a subscriber can choose from. */
export const eventTypes = ["analysis.succeeded", "analysis.failed", "analysis.canceled", "batch.completed"] as const;
export type EventType = (typeof eventTypes)[number];
/** Sent only to the endpoint whose owner asked for it. */
export const testEventType = "webhook.test";
export const sentEventTypes = [...eventTypes, testEventType] as const;
export type SentEventType = (typeof sentEventTypes)[number];

const url = z
  .url({ protocol: /^https?$/ })
  .max(2_048)
  .meta({
    description: "https; http only where the service runs for development. Private addresses are refused.",
    example: "https://example.com/webhooks/omni-iml",
  });
const events = z
  .array(z.enum(eventTypes))
  .min(1)
  .refine((list) => new Set(list).size === list.length, "names an event twice")
  .meta({ description: "Only these events are sent; all, where this is left out." });

/** The `webhook` of one request. */
export const requestWebhook = z.strictObject({ url, events: events.optional() }).meta({ id: "RequestWebhook" });
export type RequestWebhook = z.infer<typeof requestWebhook>;

const description = z.string().max(200);
export const newWebhookEndpoint = z
  .strictObject({ url, events: events.optional(), description: description.default("") })
  .meta({ id: "NewWebhookEndpoint" });
export type NewWebhookEndpoint = z.input<typeof newWebhookEndpoint>;
export const webhookEndpointChange = z
  .strictObject({
    url: url.optional(),
    events: events.nullable().optional().meta({ description: "`null`: all events." }),
    description: description.optional(),
    enabled: z.boolean().optional().meta({ description: "`true` also brings back an endpoint that was disabled." }),
  })
  .refine((change) => Object.keys(change).length > 0, "names no change")
  .meta({ id: "WebhookEndpointChange", minProperties: 1 });

export type WebhookEndpointChange = z.input<typeof webhookEndpointChange>;

export const disabledReasons = ["owner", "gone", "failing"] as const;

export const webhookEndpoint = z
  .object({
    id: idSchema("webhookEndpoint"),
    object: z.literal("webhook_endpoint"),
    kind: z.enum(["registered", "per_request"]).meta({
      description:
        "`per_request`: the log and the secret of webhooks that requests name themselves; every account has one.",
    }),
    url: z.string().nullable(),
    events: z.array(z.enum(eventTypes)).nullable().meta({ description: "`null`: all." }),
    description: z.string(),
    created_at: z.iso.datetime().nullable(),
    enabled: z.boolean(),
    disabled: z
      .object({ at: z.iso.datetime(), reason: z.enum(disabledReasons), detail: z.string() })
      .nullable()
      .meta({
        description: "Why nothing is sent: its owner's wish, an answer of 410, or days of nothing but failures.",
      }),
    failing_since: z.iso
      .datetime()
      .nullable()
      .meta({ description: "First failure since the last success; after five days of this the endpoint is disabled." }),
    dead_letters: z.int().meta({ description: "Deliveries that were given up and can be replayed." }),
  })
  .meta({ id: "WebhookEndpoint" });
export type WebhookEndpoint = z.infer<typeof webhookEndpoint>;

export const webhookSecret = z
  .object({
    object: z.literal("webhook_secret"),
    secret: z.string().meta({
      description: "Standard Webhooks: `whsec_` and base64.",
      example: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    }),
    previous_expires_at: z.iso.datetime().nullable().meta({
      description: "Until then every message carries signatures of both the old and the new secret.",
    }),
  })
  .meta({ id: "WebhookSecret" });
export type WebhookSecret = z.infer<typeof webhookSecret>;

export const createdWebhookEndpoint = webhookEndpoint
  .extend({ secret: webhookSecret.shape.secret })
  .meta({ id: "CreatedWebhookEndpoint" });

export const rotateWebhookSecret = z
  .strictObject({
    expire_old_in_s: z
      .int()
      .min(0)
      .max(7 * 86_400)
      .default(86_400)
      .meta({ description: "Seconds for which messages are also signed with the old secret." }),
  })
  .meta({ id: "RotateWebhookSecret" });

export const webhookEndpointList = z
  .object({ object: z.literal("list"), data: z.array(webhookEndpoint) })
  .meta({ id: "WebhookEndpointList" });

export const webhookAttempt = z
  .object({
    at: z.iso.datetime(),
    status: z.int().nullable().meta({ description: "The HTTP status, or `null` where no answer came." }),
    duration_ms: z.int().nullable(),
    error: z.string().nullable().meta({ description: "Why it does not count as delivered." }),
  })
  .meta({ id: "WebhookAttempt" });
export type WebhookAttempt = z.infer<typeof webhookAttempt>;

export const deliveryStatuses = ["pending", "succeeded", "dead", "dropped"] as const;
export type DeliveryStatus = (typeof deliveryStatuses)[number];

export const webhookDelivery = z
  .object({
    id: idSchema("event").meta({ description: "The message's `webhook-id`, the same for every attempt and endpoint." }),
    object: z.literal("webhook_delivery"),
    type: z.enum(sentEventTypes),
    subject: z.string().nullable().meta({ description: "The id of what the event is about." }),
    url: z.string(),
    status: z.enum(deliveryStatuses).meta({
      description:
        "`pending`: on its way or waiting for the next attempt; `dead`: given up, can be replayed; `dropped`: what it was about was deleted first.",
    }),
    created_at: z.iso.datetime(),
    next_attempt_at: z.iso.datetime().nullable(),
    attempts: z.array(webhookAttempt).meta({ description: "Every attempt, oldest first." }),
  })
  .meta({ id: "WebhookDelivery" });
export type WebhookDelivery = z.infer<typeof webhookDelivery>;

export const webhookDeliveryPage = z
  .object({ object: z.literal("list"), data: z.array(webhookDelivery), next_cursor: z.string().nullable() })
  .meta({ id: "WebhookDeliveryPage" });
export type WebhookDeliveryPage = z.infer<typeof webhookDeliveryPage>;

export const webhookReplay = z
  .object({ object: z.literal("webhook_replay"), replayed: z.int() })
  .meta({ id: "WebhookReplay" });
