/** What the worker needs beyond wrangler.toml when it runs on this machine. */

/** Those of `local_dev` in wrangler.toml: the local S3 endpoint knows no others. */
const s3Credentials = { accessKeyId: "omni-local", secretAccessKey: "omni-local-secret" };

/** Settings of wrangler.toml that a variable of the same name in the environment of `npm start` replaces. */
const replaceable = [
  "DEFAULT_WAIT_S",
  "LEASE_MS",
  "ATTEMPT_S",
  "MAX_ATTEMPTS",
  "BACKOFF_MS",
  "INPUT_RETENTION_S",
  "RESULT_RETENTION_S",
  "FILE_URL_S",
  "WEBHOOK_RETRY_S",
  "WEBHOOK_TIMEOUT_S",
] as const;

export function edgeVariables(
  parts: {
    runnerUrls: readonly string[];
    runnerSecret: string;
    egressUrl: string;
    egressSecret: string;
    storageEndpoint: string;
  },
  environment: NodeJS.ProcessEnv = process.env,
): Record<string, string> {
  const variables: Record<string, string> = {
    RUNNER_URLS: parts.runnerUrls.join(","),
    RUNNER_SECRET: parts.runnerSecret,
    EGRESS_PROXY_URL: parts.egressUrl,
    EGRESS_PROXY_SECRET: parts.egressSecret,
    S3_ENDPOINT: parts.storageEndpoint,
    S3_ACCESS_KEY_ID: s3Credentials.accessKeyId,
    S3_SECRET_ACCESS_KEY: s3Credentials.secretAccessKey,
  };
  const { INTERPRETER_URL: url, INTERPRETER_MODEL: model } = environment;
  if (url && model) variables["INTERPRETER"] = `${model} at ${url}`;
  for (const name of replaceable) {
    const value = environment[name];
    if (value !== undefined) variables[name] = value;
  }
  return variables;
}
