export type { AnalysisStreamEvent, CreateParams, ListParams } from "./analyses.ts";
export { OmniIml, type OmniImlConfig } from "./client.ts";
export * from "./errors.ts";
export type { ImageInput } from "./image-input.ts";
export type { Page } from "./page.ts";
export type * from "./resources.ts";
export type { CallOptions, Fetch, WriteOptions } from "./transport.ts";
export type { ListDeliveriesParams } from "./webhook-endpoints.ts";
export { unwrapWebhook, type WebhookHeaders } from "./webhooks.ts";
