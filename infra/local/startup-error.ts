/** Why the stack cannot start, in one line for the person at the terminal. Its cause goes to the logs. */
export class StartupError extends Error {
  override readonly name = "StartupError";
}
