import { Analyses } from "./analyses.ts";
import { Batches } from "./batches.ts";
import { type Fetch, Transport } from "./transport.ts";
import { Uploads } from "./uploads.ts";
import { Webhooks } from "./webhooks.ts";

export interface OmniImlConfig {
  apiKey: string;
  /** Where the service is, such as `http://127.0.0.1:8787`. */
  baseUrl: string;
  /** For `webhooks.unwrap`: `whsec_…`. */
  webhookSecret?: string | undefined;
  /** In place of the platform's. */
  fetch?: Fetch | undefined;
  /** How often a request is sent again that failed for a reason that may pass; default 4. */
  maxRetries?: number | undefined;
  /** Seconds for one try, beyond what it was asked to wait; default 60. */
  timeout?: number | undefined;
}

/**
 * The client of the Omni-IML API.
 *
 * @example
 * const client = new OmniIml({ apiKey: "omni_live_…", baseUrl: "http://127.0.0.1:8787" });
 * const analysis = await client.analyses.create({ image: await readFile("photo.jpg"), wait: 60 });
 * console.log(analysis.verdict, analysis.regions);
 */
export class OmniIml {
  readonly analyses: Analyses;
  readonly uploads: Uploads;
  readonly batches: Batches;
  readonly webhooks: Webhooks;

  constructor({ apiKey, baseUrl, webhookSecret, fetch, maxRetries = 4, timeout = 60 }: OmniImlConfig) {
    const transport = new Transport({
      apiKey,
      baseUrl: baseUrl.replace(/\/+$/, ""),
      // Called as a function of its own: browsers' and Workers' fetch refuses to be another object's method.
      fetch: fetch ?? ((url, init) => globalThis.fetch(url, init)),
      maxRetries,
      timeout,
    });
    this.uploads = new Uploads(transport);
    this.analyses = new Analyses(transport, this.uploads);
    this.batches = new Batches(transport);
    this.webhooks = new Webhooks(transport, webhookSecret);
  }
}
