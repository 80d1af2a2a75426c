/** How much memory the inference process and the GPU have in use, as the system tells it. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Resident bytes of a process; NaN where it has ended or the system has no /proc. */
export async function residentMemory(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) * 1024;
}

/** What `nvidia-smi --format=csv,noheader,nounits` prints of used and total MiB, for each GPU a line. */
export function parseDeviceMemory(printed: string): { used: number; total: number } | null {
  const [used = Number.NaN, total = Number.NaN] = (printed.split("\n")[0] ?? "").split(",").map(Number);
  if (!Number.isFinite(used + total)) return null;
  return { used: used * 2 ** 20, total: total * 2 ** 20 };
}

/** Of the first GPU that the process sees; null where the driver's tool does not answer. */
export async function deviceMemory(): Promise<{ used: number; total: number } | null> {
  const query = ["--query-gpu=memory.used,memory.total", "--format=csv,noheader,nounits"];
  const printed = await run("nvidia-smi", query, { timeout: 5000 }).catch(() => null);
  return printed && parseDeviceMemory(printed.stdout);
}
