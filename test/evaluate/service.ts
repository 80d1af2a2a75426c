/** The service that is measured: the caller's, or one of our own on a free port with state that is thrown away. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OmniIml } from "@omni-iml/sdk";
import { freePort } from "../../infra/local/ports.ts";
import { LocalStack } from "../../infra/local/stack.ts";
import { StateFolder } from "../../infra/local/state-folder.ts";

export interface Service {
  client: OmniIml;
  stop: () => Promise<void>;
}

export async function serviceFor(baseUrl: string | undefined, apiKey: string | undefined): Promise<Service> {
  if (baseUrl !== undefined) {
    if (apiKey === undefined) throw new Error("--base-url needs --key");
    return { client: new OmniIml({ apiKey, baseUrl, maxRetries: 10 }), stop: async () => undefined };
  }
  const folder = await mkdtemp(join(tmpdir(), "omni-iml-evaluate-"));
  const stack = new LocalStack({
    port: await freePort(),
    state: new StateFolder(folder),
    report: (line) => console.error(`! ${line}`),
  });
  const stop = async () => {
    await stack.stop();
    await rm(folder, { recursive: true, force: true });
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void stop().finally(() => process.exit(130)));
  }
  try {
    const { apiKey: own } = await stack.start();
    return { client: new OmniIml({ apiKey: own, baseUrl: stack.baseUrl, maxRetries: 10 }), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
