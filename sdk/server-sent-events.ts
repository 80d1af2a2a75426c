/** Server-sent events as they come (HTML Living Standard, 9.2.6). */

export interface ServerSentEvent {
  event: string;
  data: string;
  /** Of the newest event that had one, for `Last-Event-ID`. */
  lastId: string;
}

/**
 * The events of a body. Throws where the body breaks off, and where nothing, not even a comment, came for `silence`
 * seconds: the connection is dead then.
 */
export async function* serverSentEvents(
  body: ReadableStream<Uint8Array>,
  silence: number,
): AsyncGenerator<ServerSentEvent, void, undefined> {
  let [event, data, lastId] = ["", [] as string[], ""];
  for await (const line of lines(body, silence)) {
    if (line === "") {
      if (data.length > 0) yield { event: event || "message", data: data.join("\n"), lastId };
      [event, data] = ["", []];
      continue;
    }
    const [, field = "", value = ""] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
    if (field === "event") event = value;
    else if (field === "data") data.push(value);
    else if (field === "id") lastId = value;
  }
}

async function* lines(body: ReadableStream<Uint8Array>, silence: number): AsyncGenerator<string, void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await withinSeconds(reader.read(), silence);
      if (done) return;
      text += decoder.decode(value, { stream: true });
      // A carriage return at the end may be the first half of a line's end.
      const complete = text.split(/\r\n|\n|\r(?!$)/);
      text = complete.pop() ?? "";
      yield* complete;
    }
  } finally {
    // Whoever stops listening also ends the connection; one that broke needs no ending.
    await reader.cancel().catch(() => undefined);
  }
}

async function withinSeconds<Value>(work: Promise<Value>, seconds: number): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing came for ${seconds} s`)), 1000 * seconds);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
