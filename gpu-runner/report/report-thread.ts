/** The thread that lays reports out; see report-maker.ts. */
import { parentPort } from "node:worker_threads";
import { makeReports, type ReportOrder, type Reports } from "./make.ts";

export type ThreadOrder = ReportOrder & { readonly id: number };
export type ThreadAnswer = { readonly id: number } & (Reports | { readonly failure: string });

const port = parentPort;
if (port === null) throw new Error("report-thread.ts is a thread's program");
port.on("message", (order: ThreadOrder) => {
  const tell = (answer: ThreadAnswer) => port.postMessage(answer);
  makeReports(order).then(
    (reports) => tell({ id: order.id, ...reports }),
    (error: unknown) => tell({ id: order.id, failure: error instanceof Error ? error.message : String(error) }),
  );
});
