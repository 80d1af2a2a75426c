/** What every route below `/v1/analyses/{id}` begins with. */
import { idSchema } from "@omni-iml/shared/ids";
import { Problem } from "@omni-iml/shared/problems";
import { z } from "zod";
import type { AnalysisSnapshot } from "../analysis/snapshot.ts";
import type { Environment } from "../environment.ts";

export const analysisPath = z.strictObject({ id: idSchema("analysis") });

/** The object that is the analysis `id`. */
export function object(env: Environment, id: string) {
  return env.ANALYSES.getByName(id);
}

/** The caller's analysis, or the problem to answer with: others' ids are answered as ids that do not exist. */
export function found(id: string, snapshot: AnalysisSnapshot | null): AnalysisSnapshot {
  if (snapshot === null) throw new Problem("not_found", `There is no analysis ${id}.`);
  if (snapshot.erased === "expired") throw new Problem("gone", `The analysis ${id} has expired.`);
  if (snapshot.erased === "deleted") throw new Problem("gone", `The analysis ${id} was deleted.`);
  return snapshot;
}
