/** The egress proxy's program: configuration and signals. Listens where only the worker can reach it. */
import { z } from "zod";
import { createEgressProxy } from "./proxy.ts";

const configuration = z.object({
  PORT: z.coerce.number().int().min(0).max(65_535).default(8791),
  HOST: z.string().default("127.0.0.1"),
  EGRESS_PROXY_SECRET: z.string("is needed: the secret that the worker signs with").min(16),
  /** `1` lets requests go to this machine itself: for development only. */
  EGRESS_ALLOW_LOOPBACK: z.enum(["0", "1"]).default("0"),
});

const parsed = configuration.safeParse(process.env);
if (!parsed.success) {
  const complaints = parsed.error.issues.map((issue) => `${issue.path.join(".")} ${issue.message}`);
  process.stderr.write(`egress-proxy: ${complaints.join("; ")}\n`);
  process.exit(1);
}
const { PORT, HOST, EGRESS_PROXY_SECRET: secret, EGRESS_ALLOW_LOOPBACK } = parsed.data;
const server = createEgressProxy({ secret, allowLoopback: EGRESS_ALLOW_LOOPBACK === "1" });
server.listen(PORT, HOST, () => console.log(JSON.stringify({ message: "ready", address: server.address() })));
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => server.close(() => process.exit(0)));
