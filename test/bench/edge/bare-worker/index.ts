/**
 * The least that an answer from what is known can do: read a table, ask three objects, hash what came, sign four
 * addresses. No account, no limits, no record, no cache.
 */
import { DurableObject } from "cloudflare:workers";
import { Hono } from "hono";
import { sha256Hex } from "../../../../edge/storage/digest.ts";
import { type StorageSettings, signedGet } from "../../../../edge/storage/objects.ts";

interface Bindings extends StorageSettings {
  DATABASE: D1Database;
  OBJECTS: DurableObjectNamespace<BareObject>;
}

export class BareObject extends DurableObject {
  ask(): number {
    return Date.now();
  }
}

const objects = ["account", "analysis", "result"];
const files = ["probability.png", "mask.png", "overlay.png", "report.json"];

const app = new Hono<{ Bindings: Bindings }>();
app.get("/healthz", (context) => context.json({ status: "ok" }));
app.post("/", async (context) => {
  const { env } = context;
  const image = await context.req.arrayBuffer();
  await env.DATABASE.prepare("SELECT name FROM sqlite_master LIMIT 1").all();
  for (const name of objects) await env.OBJECTS.getByName(name).ask();
  const sha256 = await sha256Hex(image);
  const urls = await Promise.all(files.map((name) => signedGet(env, `results/${sha256}/${name}`, 3_600_000)));
  return context.json({ sha256, bytes: image.byteLength, files: urls }, 201);
});

export default app;
