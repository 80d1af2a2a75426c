/** Regions on their way from the threads that cut them out to the one that runs the session, and back. */
import { messageOf } from "@omni-iml/shared/message-of";
import type { Interpreter, Reading, Shown } from "./contract.ts";

export type OfferedRegions = Shown & { readonly id: number };

export type AnsweredRegions = { readonly id: number } & (
  | { readonly readings: readonly Reading[] }
  /** Why the session did not answer. */
  | { readonly failure: string }
);

/** The thread's end. */
export class InterpretationExchange implements Interpreter {
  readonly #offer: (regions: OfferedRegions) => void;
  readonly #outstanding = new Map<number, PromiseWithResolvers<readonly Reading[]>>();
  #lastId = 0;

  constructor(offer: (regions: OfferedRegions) => void) {
    this.#offer = offer;
  }

  read(shown: Shown): Promise<readonly Reading[]> {
    const id = ++this.#lastId;
    const answer = Promise.withResolvers<readonly Reading[]>();
    this.#outstanding.set(id, answer);
    this.#offer({ id, ...shown });
    return answer.promise;
  }

  answered(answer: AnsweredRegions): void {
    const outstanding = this.#outstanding.get(answer.id);
    if (outstanding === undefined) throw new Error(`nothing was asked as ${answer.id}`);
    this.#outstanding.delete(answer.id);
    if ("failure" in answer) outstanding.reject(new Error(answer.failure));
    else outstanding.resolve(answer.readings);
  }
}

/** The session's end. */
export async function answerRegions(
  interpreter: Interpreter,
  { id, ...shown }: OfferedRegions,
): Promise<AnsweredRegions> {
  try {
    return { id, readings: await interpreter.read(shown) };
  } catch (error) {
    return { id, failure: messageOf(error) };
  }
}
