/** What a test can have lie at an address outside. */
export interface OutsideAnswer {
  status?: number;
  headers?: Record<string, string>;
  /** Base64. */
  body?: string;
  /** Milliseconds until the body's first half, and again until its second. */
  delay?: number;
}
