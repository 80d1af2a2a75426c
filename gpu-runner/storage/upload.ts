/** Writing a result by its presigned URL. */
import { messageOf } from "@omni-iml/shared/message-of";
import { Problem } from "@omni-iml/shared/problems";
import { attempts, refuseStatus } from "./attempts.ts";

/** @throws Problem `output_unavailable` where storage does not take it. */
export async function upload(
  url: string,
  bytes: Uint8Array<ArrayBuffer>,
  contentType: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await attempts(signal, async (limited) => {
      const headers = { "content-type": contentType };
      const response = await fetch(url, { method: "PUT", body: bytes, headers, signal: limited, redirect: "error" });
      await response.body?.cancel();
      refuseStatus(response);
    });
  } catch (error) {
    if (signal.aborted) throw error;
    const reason = messageOf(error);
    throw new Problem("output_unavailable", `A result could not be stored: ${reason}.`, { cause: error });
  }
}
