/** A thread of the inference process that has a model session and nothing else: it blocks while the session runs. */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { messageOf } from "@omni-iml/shared/message-of";
import { loadSession, type ModelInput, type ModelOutput, type Provider, type SessionResources } from "./session.ts";

export interface SessionThreadData {
  readonly modelFile: string;
  readonly provider: Provider;
  readonly resources: SessionResources;
}

export type SessionAnswer = { readonly output: ModelOutput } | { readonly failure: string };
export type SessionThreadReport = { readonly type: "ready" } | { readonly type: "unusable"; readonly reason: string };

async function serve(port: MessagePort, { modelFile, provider, resources }: SessionThreadData): Promise<void> {
  const session = await loadSession(modelFile, provider, resources);
  port.on("message", async (input: ModelInput) => {
    let answer: SessionAnswer;
    try {
      answer = { output: await session.run(input) };
    } catch (error) {
      answer = { failure: messageOf(error) };
    }
    port.postMessage(answer);
  });
  port.postMessage({ type: "ready" } satisfies SessionThreadReport);
}

if (parentPort === null) throw new Error("session-thread.ts is a thread's program");
const port = parentPort;
serve(port, workerData).catch((error: unknown) => {
  port.postMessage({ type: "unusable", reason: messageOf(error) } satisfies SessionThreadReport);
});
