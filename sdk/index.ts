export type { Analysis, AnalysisOptions, AnalysisPage, AnalysisSummary, Region } from "@omni-iml/shared/analysis";
export type { ProblemCode, ProblemDocument } from "@omni-iml/shared/problems";
export type { CallOptions, CreateParams, ImageInput, ListParams } from "./analyses.ts";
export { OmniIml, type OmniImlConfig } from "./client.ts";
export * from "./errors.ts";
