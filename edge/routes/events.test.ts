import { expect, it } from "vitest";
import {
  eventually,
  expectProblem,
  newAccount,
  newImage,
  problem,
  request,
  resource,
  runnerFor,
  send,
} from "../testing/client.ts";

interface Received {
  id: string | undefined;
  event: string | undefined;
  data: Record<string, unknown>;
}

function parseEvents(text: string): Received[] {
  return text
    .trim()
    .split("\n\n")
    .filter((block) => !block.startsWith(":"))
    .map((block) => {
      const fields = new Map(
        block.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]),
      );
      return { id: fields.get("id"), event: fields.get("event"), data: JSON.parse(fields.get("data") ?? "null") };
    });
}

it("streams every transition and stage, then the analysis, then ends", async () => {
  const account = await newAccount();
  const image = newImage();
  const runner = await runnerFor(image, { kind: "hold" });
  const { id } = await resource(send(account, image, { prefer: "wait=0" }));
  const response = await request(account, `/v1/analyses/${id}/events`);
  expect(response.headers.get("content-type")).toContain("text/event-stream");
  const text = response.text();
  await eventually(async () => expect(await runner.calls()).toHaveLength(1));
  await runner.open();
  const events = parseEvents(await text);
  const statuses = events.filter((event) => event.event === "status").map((event) => event.data["status"]);
  expect(statuses).toEqual(["queued", "running", "succeeded"]);
  expect(events.filter((event) => event.event === "stage")[0]?.data).toMatchObject({ stage: "decode", attempt: 1 });
  expect(events.at(-1)).toMatchObject({ event: "end", id: undefined, data: { id, status: "succeeded" } });
  expect(events.slice(0, -1).map((event) => Number(event.id))).toEqual(events.slice(0, -1).map((_, i) => i + 1));
});

it("goes on after Last-Event-ID, and always tells the end", async () => {
  const account = await newAccount();
  const image = newImage();
  await runnerFor(image, { kind: "problem", problem: problem("image_corrupt") });
  const { id } = await resource(send(account, image));
  const headers = { "last-event-id": "2" };
  const events = parseEvents(await (await request(account, `/v1/analyses/${id}/events`, { headers })).text());
  expect(events[0]?.id).toBe("3");
  const all = parseEvents(await (await request(account, `/v1/analyses/${id}/events`)).text());
  expect(all.slice(2)).toEqual(events);
  expect(events.at(-1)).toMatchObject({ event: "end", data: { status: "failed", error: { code: "image_corrupt" } } });
  const late = { "last-event-id": "99" };
  const last = parseEvents(await (await request(account, `/v1/analyses/${id}/events`, { headers: late })).text());
  expect(last.map((event) => event.event)).toEqual(["end"]);
});

it("shows nothing of others' analyses", async () => {
  const { id } = await resource(send(await newAccount(), newImage()));
  await expectProblem(request(await newAccount(), `/v1/analyses/${id}/events`), "not_found");
});
