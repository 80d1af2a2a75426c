import { Analyses } from "./analyses.ts";
import { type Fetch, Transport } from "./transport.ts";

export interface OmniImlConfig {
  apiKey: string;
  /** Where the service is, such as `http://127.0.0.1:8787`. */
  baseUrl: string;
  /** In place of the platform's. */
  fetch?: Fetch;
  /** How often a refused request is sent again; default 4. */
  maxRetries?: number;
  /** Seconds for one try, beyond what it was asked to wait; default 60. */
  timeout?: number;
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

  constructor({ apiKey, baseUrl, fetch = globalThis.fetch, maxRetries = 4, timeout = 60 }: OmniImlConfig) {
    this.analyses = new Analyses(
      new Transport({ apiKey, baseUrl: baseUrl.replace(/\/+$/, ""), fetch, maxRetries, timeout }),
    );
  }
}
