/**
 * A thread of the inference process that does everything with an image but run a session: decoding, cutting tiles,
 * blending, regions, encoding. A session blocks its thread for as long as it runs; here work goes on meanwhile.
 */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { Problem } from "@omni-iml/shared/problems";
import type { ReleaseManifest } from "@omni-iml/shared/release";
import { type AnsweredRegions, InterpretationExchange, type OfferedRegions } from "../interpretation/exchange.ts";
import { analyse } from "./analyse.ts";
import type { AnalyseCommand, Report } from "./protocol.ts";
import { type AnsweredTile, type OfferedTile, TileExchange } from "./tile-exchange.ts";

export interface ThreadData {
  readonly manifest: ReleaseManifest;
  readonly maxPixels: number;
  readonly trustAnchors: string | null;
  /** Whether the interpretation network was loaded. */
  readonly interprets: boolean;
}

export type ThreadOrder =
  | { readonly type: "analyse"; readonly order: AnalyseCommand }
  | { readonly type: "drop" }
  | ({ readonly type: "answer" } & AnsweredTile)
  | ({ readonly type: "readings" } & AnsweredRegions);

export type ThreadReport =
  | { readonly type: "ready" }
  | ({ readonly type: "tile" } & OfferedTile)
  | ({ readonly type: "regions" } & OfferedRegions)
  /** For the HTTP process. */
  | { readonly type: "report"; readonly report: Report };

function serve(port: MessagePort, { manifest, maxPixels, trustAnchors, interprets }: ThreadData): void {
  const tell = (report: ThreadReport) => port.postMessage(report);
  const tiles = new TileExchange((tile) => tell({ type: "tile", ...tile }));
  const regions = new InterpretationExchange((offered) => tell({ type: "regions", ...offered }));
  let withdrawal = new AbortController();

  async function run(order: AnalyseCommand): Promise<Report> {
    const { job } = order;
    try {
      const served = { manifest, batcher: tiles, interpreter: interprets ? regions : null, maxPixels, trustAnchors };
      const { finding, files, pictures } = await analyse(order, served, withdrawal.signal, (stage, progress) =>
        tell({ type: "report", report: { type: "stage", job, stage, progress } }),
      );
      return { type: "done", job, finding, files, pictures };
    } catch (error) {
      if (withdrawal.signal.aborted) return { type: "dropped", job };
      // Other tiles of the job may still be cut; nobody would wait for them.
      withdrawal.abort(error);
      const problem =
        error instanceof Problem
          ? error
          : new Problem("internal_error", "The analysis failed inside the runner.", { cause: error });
      const cause = error instanceof Problem ? error.cause : error;
      return {
        type: "failed",
        job,
        code: problem.code,
        detail: problem.message,
        cause: cause instanceof Error ? (cause.stack ?? cause.message) : "",
      };
    }
  }

  port.on("message", (message: ThreadOrder) => {
    if (message.type === "answer") {
      tiles.answered(message);
    } else if (message.type === "readings") {
      regions.answered(message);
    } else if (message.type === "drop") {
      withdrawal.abort();
    } else {
      withdrawal = new AbortController();
      void run(message.order).then((report) => {
        tiles.release();
        tell({ type: "report", report });
      });
    }
  });
  tell({ type: "ready" });
}

if (parentPort === null) throw new Error("image-thread.ts is a thread's program");
serve(parentPort, workerData);
