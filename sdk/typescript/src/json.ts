/** Reads JSON that a server sent. */
import { DecodeError } from "./errors.js";

/** The JSON object in a text; `DecodeError` if there is none. Its members are as the server likes them. */
export function parseObject<T extends object>(text: string, what: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new DecodeError(`${what} cannot be read`, { cause });
  }
  if (typeof value !== "object" || value === null) throw new DecodeError(`${what} is no object`);
  return value as T;
}
