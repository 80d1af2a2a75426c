/** The GPU runner's program: configuration, log, signals. */
import { pino } from "pino";
import { readConfiguration, StartError } from "./configuration.ts";
import { startRunner } from "./runner.ts";

try {
  const configuration = readConfiguration(process.env);
  const log = pino({ level: configuration.LOG_LEVEL, base: { service: "gpu-runner" } });
  const runner = await startRunner(configuration, log);
  let ending = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      // Asked twice: whoever asks does not want to wait.
      if (ending) process.exit(1);
      ending = true;
      log.info({ signal }, "draining");
      void runner.drain().then(() => process.exit(0));
    });
  }
  const { HOST: host, PROVIDER: provider } = configuration;
  log.info({ host, port: runner.port, provider, release: runner.release, pid: process.pid }, "ready");
} catch (error) {
  const line = error instanceof StartError ? error.message : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`gpu-runner: ${line}\n`);
  process.exit(1);
}
