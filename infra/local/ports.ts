import { createServer } from "node:net";
import { StartupError } from "./startup-error.ts";

const loopback = "127.0.0.1";

function listen(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(port, loopback, () => {
      const address = server.address();
      server.close(() =>
        address && typeof address === "object" ? resolve(address.port) : reject(new Error("no address")),
      );
    });
  });
}

/** A loopback port that nobody uses at this moment. */
export function freePort(): Promise<number> {
  return listen(0);
}

/** Throws {@link StartupError} where something already listens on `port`. */
export async function requirePort(port: number): Promise<void> {
  try {
    await listen(port);
  } catch (cause) {
    throw new StartupError(`port ${port} is in use; stop what listens there or choose another: PORT=8788 npm start`, {
      cause,
    });
  }
}

/** The port that `text` (the PORT variable) names. */
export function parsePort(text: string | undefined, otherwise: number): number {
  if (text === undefined || text === "") return otherwise;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new StartupError(`PORT must be a number from 1 to 65535, not ${JSON.stringify(text)}`);
  }
  return port;
}
