/** `Idempotency-Key` (draft 07): however often a request is sent under one key, what it creates is created once. */
import { Problem } from "@omni-iml/shared/problems";
import type { Context } from "hono";
import { z } from "zod";
import { log } from "../log.ts";
import type { App } from "../middleware/app-types.ts";
import { invalidField } from "../middleware/problem-response.ts";
import { sha256Hex } from "../storage/digest.ts";

/** For the description of every route that creates. */
export const idempotencyHeader = z.object({
  "idempotency-key": z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/, "1 to 255 visible ASCII characters, without spaces")
    .optional()
    .meta({
      description:
        "Sent again with the same key and payload within 24 hours, a request answers with what it created the first " +
        "time; with another payload 422. Any string of 1 to 255 visible characters, best a UUID.",
      example: "8e03978e-40d5-43e8-bc93-6894a57f9324",
    }),
});

/** Marks the answer to a request that created nothing because an earlier one had. */
const replayedHeader = "idempotency-replayed";

export interface Creation {
  /** Name of the IdempotencyObject, for whoever erases what was created: `free` it then. `null` without a key. */
  key: string | null;
  /** An earlier request under the same key may have created it already and broken off: creating must allow for that. */
  again: boolean;
}

/**
 * Runs `create` with a new id; where this request only repeats an earlier one, answers that one's id and `null` instead.
 * `payload`: the hash of all that makes this request what it is. If `create` throws a Problem, nothing must have been
 * created: the key is free again then. `remains`, for what does not free its key by itself when it is deleted: whether
 * what an earlier request has created is still there.
 */
export async function once<Created>(
  context: Context<App>,
  payload: string,
  newId: () => string,
  create: (id: string, creation: Creation) => Promise<Created>,
  remains: (id: string) => Promise<boolean> = async () => true,
): Promise<{ id: string; created: Created | null }> {
  const header = idempotencyHeader.safeParse({ "idempotency-key": context.req.header("idempotency-key") });
  if (!header.success) {
    throw invalidField("idempotency-key", header.error.issues[0]?.message ?? "is not valid");
  }
  const sent = header.data["idempotency-key"];
  if (sent === undefined) {
    const id = newId();
    return { id, created: await create(id, { key: null, again: false }) };
  }
  const { method, path } = context.req;
  const key = await sha256Hex(JSON.stringify([context.get("caller").account, method, path, sent]));
  const object = context.env.IDEMPOTENCY.getByName(key);
  let turn = await object.begin(payload, newId());
  while (turn.kind !== "lead" && turn.id !== null && !(await remains(turn.id))) {
    // By its id, so that of several who find it gone one leads and the others follow.
    await object.free(turn.id);
    turn = await object.begin(payload, newId());
  }
  if (turn.kind === "conflict") {
    const detail = "The key was sent with another payload before, and still belongs to it.";
    throw new Problem("idempotency_key_reused", detail);
  }
  if (turn.kind === "replay") {
    context.header(replayedHeader, "true");
    return { id: turn.id, created: null };
  }
  let created: Created;
  try {
    created = await create(turn.id, { key, again: turn.again });
  } catch (error) {
    if (error instanceof Problem) await object.free(turn.id);
    else await object.handOn(turn.id);
    throw error;
  }
  // What was created stays created: should this fail, the next request finds it by its id.
  await object
    .complete(turn.id)
    .catch((cause: unknown) => log("warn", "an idempotency key was not completed", { id: turn.id, error: cause }));
  return { id: turn.id, created };
}
