/** What `GET /v1/analyses/{id}/events` sends: server-sent events by name, with these data. */
import { z } from "zod";
import { analysisStatuses } from "./analysis.ts";

/** `event: status`: the analysis has made a transition. */
export const statusEvent = z.object({ status: z.enum(analysisStatuses), at: z.iso.datetime() });

/** `event: stage`: what the runner is doing; `retrying` between two attempts. */
export const stageEvent = z.object({
  stage: z.string(),
  progress: z.number().min(0).max(1).nullable(),
  attempt: z.int().min(0),
  at: z.iso.datetime(),
});

/** The name of the last event; its data are the analysis itself. It carries no id, so that a replay sends it again. */
export const endEvent = "end";
