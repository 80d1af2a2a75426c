/** The consumer of the queue `dispatch`. The queue only paces the work; what happens to it is the record's business. */
import type { DispatchMessage, Environment } from "../environment.ts";
import { log } from "../log.ts";

/** Acks each message by itself: an object that cannot be reached must not bring the others back. */
export async function consumeDispatches(batch: MessageBatch<DispatchMessage>, env: Environment): Promise<void> {
  await Promise.all(
    batch.messages.map(async (message) => {
      const id = message.body.analysis;
      try {
        await env.ANALYSES.getByName(id).dispatchAndWait();
        message.ack();
      } catch (error) {
        log("warn", "a dispatch did not reach its analysis", { analysis: id, error });
        message.retry();
      }
    }),
  );
}
