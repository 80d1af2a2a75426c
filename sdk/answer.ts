/** What the service answered, as the resource that it says it is. */
import { UnexpectedAnswerError } from "./errors.ts";

/** Every resource names its kind. */
export interface Resource {
  readonly object: string;
}

/**
 * The resource in a 2xx answer. Its kind is checked, its fields are the service's word: they come of the very schemas
 * that this package's types are written from. Throws {@link UnexpectedAnswerError}.
 */
export async function readResource<Expected extends Resource>(
  response: Response,
  object: Expected["object"],
): Promise<Expected> {
  const text = await response.text();
  let cause: unknown;
  try {
    const value: unknown = JSON.parse(text);
    if (isResource<Expected>(value, object)) return value;
  } catch (error) {
    cause = error;
  }
  const message = `the answer is not the ${object} that was asked for: ${text.slice(0, 200)}`;
  throw new UnexpectedAnswerError(response.status, message, { cause });
}

/** Whether `value` says that it is a resource of this kind. */
export function isResource<Expected extends Resource>(value: unknown, object: Expected["object"]): value is Expected {
  return typeof value === "object" && value !== null && "object" in value && value.object === object;
}
