import type { analysis, analysisPage } from "@omni-iml/shared/analysis";
import type { batch, batchItem, newBatch } from "@omni-iml/shared/batches";
import type { problemDocument } from "@omni-iml/shared/problems";
import type { upload } from "@omni-iml/shared/uploads";
import type { webhookMessage } from "@omni-iml/shared/webhook-messages";
import type { webhookDelivery, webhookEndpoint } from "@omni-iml/shared/webhooks";
import { describe, expect, expectTypeOf, it } from "vitest";
import type { z } from "zod";
import type * as resources from "../resources.ts";
import { resourceTypes } from "./resource-types.ts";

describe("resources.ts", () => {
  it("is what the schemas say (npm run resources writes it anew)", async () => {
    await expect(resourceTypes()).toMatchFileSnapshot("../resources.ts");
  });

  it("has the schemas' own types, which the type check holds it to", () => {
    expectTypeOf<z.output<typeof analysis>>().toExtend<resources.Analysis>();
    expectTypeOf<resources.Analysis["regions"]>().toExtend<z.output<typeof analysis>["regions"]>();
    expectTypeOf<resources.Analysis["files"]>().toExtend<z.output<typeof analysis>["files"]>();
    expectTypeOf<resources.Analysis["status"]>().toEqualTypeOf<z.output<typeof analysis>["status"]>();
    expectTypeOf<z.output<typeof analysisPage>>().toExtend<resources.AnalysisPage>();
    expectTypeOf<resources.Batch>().toEqualTypeOf<z.output<typeof batch>>();
    expectTypeOf<z.output<typeof batchItem>>().toExtend<resources.BatchItem>();
    expectTypeOf<z.input<typeof newBatch>>().toExtend<resources.NewBatch>();
    expectTypeOf<resources.Upload>().toEqualTypeOf<z.output<typeof upload>>();
    expectTypeOf<z.output<typeof problemDocument>>().toExtend<resources.Problem>();
    expectTypeOf<resources.Problem["code"]>().toEqualTypeOf<z.output<typeof problemDocument>["code"]>();
    expectTypeOf<resources.WebhookEndpoint>().toEqualTypeOf<z.output<typeof webhookEndpoint>>();
    expectTypeOf<resources.WebhookDelivery>().toEqualTypeOf<z.output<typeof webhookDelivery>>();
    expectTypeOf<z.output<typeof webhookMessage>>().toExtend<resources.WebhookMessage>();
  });
});
