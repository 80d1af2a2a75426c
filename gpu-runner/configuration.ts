/** The runner's configuration, read once from the environment. */
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { z } from "zod";

const releaseFolder = fileURLToPath(new URL("../model/release", import.meta.url));

const schema = z.object({
  /** 0 takes any free port; the log line "ready" names it. */
  PORT: z.coerce.number().int().min(0).max(65_535).default(8790),
  HOST: z.string().default("127.0.0.1"),
  /** What the edge signs its requests with. */
  RUNNER_SECRET: z.string("is needed: the secret that the edge signs with").min(16, "must have 16 characters or more"),
  /** Folder of manifest.json and the ONNX file it names. */
  MODEL_DIR: z.string().default(releaseFolder),
  PROVIDER: z.enum(["cpu", "cuda"]).default("cpu"),
  /** Threads of the CPU provider and of libvips; the default respects the container's share, onnxruntime's own does not. */
  THREADS: z.coerce.number().int().min(1).default(availableParallelism()),
  /** Tiles in one run of the model; on a CPU more than one gains nothing. */
  MAX_BATCH: z.coerce.number().int().min(1).optional(),
  /** Model sessions that share `THREADS` among them, beside the one for an image that is there alone; 0: that takes all. */
  SMALL_SESSIONS: z.coerce.number().int().min(0).max(16).optional(),
  /** Images in work at a time, each on a thread of its own beside the session's. */
  IMAGE_THREADS: z.coerce.number().int().min(1).max(64).optional(),
  /**
   * MiB of GPU memory that the session is asked not to exceed; without it, all there is. Not tried on a GPU: the binding
   * passes no provider options, and onnxruntime may read the session's entries only where it chooses the provider itself.
   */
  CUDA_MEMORY_MB: z.coerce.number().int().min(512).optional(),
  /** Pixels of one image. */
  MAX_PIXELS: z.coerce.number().int().min(4096).default(100_000_000),
  /** Pixels of all images that are queued or being analysed; one account's may be three quarters of them. */
  MAX_QUEUED_PIXELS: z.coerce.number().int().min(4096).default(200_000_000),
  /** Bytes of one input file. */
  MAX_INPUT_BYTES: z.coerce
    .number()
    .int()
    .min(1)
    .default(200 * 1024 * 1024),
  /** Bytes of all input files in hand. */
  MAX_QUEUED_BYTES: z.coerce
    .number()
    .int()
    .min(1)
    .default(512 * 1024 * 1024),
  /** Seconds in which running jobs may end after SIGTERM. */
  DRAIN_SECONDS: z.coerce.number().min(0).default(60),
  /** A vision-language model that describes regions for whom asks for it: base address of an OpenAI-compatible API. */
  INTERPRETER_URL: z.url({ protocol: /^https?$/ }).optional(),
  INTERPRETER_MODEL: z.string().min(1).optional(),
  INTERPRETER_KEY: z.string().min(1).optional(),
  /** Seconds after which the built-in words are given instead. */
  INTERPRETER_SECONDS: z.coerce.number().min(1).max(600).default(30),
  /** PEM file of the certificates whose signatures on Content Credentials are trusted. */
  C2PA_TRUST_ANCHORS: z.string().min(1).optional(),
  LOG_LEVEL: z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]).default("info"),
});

export interface Configuration extends Omit<z.infer<typeof schema>, "MAX_BATCH" | "SMALL_SESSIONS" | "IMAGE_THREADS"> {
  MAX_BATCH: number;
  SMALL_SESSIONS: number;
  IMAGE_THREADS: number;
}

/** Something about the way the runner was started that it cannot run with; the message is one line for a person. */
export class StartError extends Error {
  override readonly name = "StartError";
}

/** @throws StartError that names each variable that does not fit. */
export function readConfiguration(environment: Readonly<Record<string, string | undefined>>): Configuration {
  // An empty variable is what a compose file leaves of one that is not set.
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ""));
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    throw new StartError(parsed.error.issues.map((issue) => `${issue.path.join(".")} ${issue.message}`).join("; "));
  }
  if ((parsed.data.INTERPRETER_URL === undefined) !== (parsed.data.INTERPRETER_MODEL === undefined)) {
    throw new StartError("INTERPRETER_URL and INTERPRETER_MODEL are needed together");
  }
  const { PROVIDER, THREADS, MAX_BATCH, SMALL_SESSIONS, IMAGE_THREADS } = parsed.data;
  const cuda = PROVIDER === "cuda";
  return {
    ...parsed.data,
    MAX_BATCH: MAX_BATCH ?? (cuda ? 8 : 1),
    // Measured on two cores; with one there is nothing to share.
    SMALL_SESSIONS: SMALL_SESSIONS ?? (cuda || THREADS === 1 ? 0 : 2),
    // A GPU is fed by several decoders; on a CPU the session has the cores, and a third image fills the gaps.
    IMAGE_THREADS: IMAGE_THREADS ?? (cuda ? Math.min(8, Math.max(3, availableParallelism())) : 3),
  };
}
