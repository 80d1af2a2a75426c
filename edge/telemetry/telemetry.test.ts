import { describe, expect, it, onTestFinished, vi } from "vitest";
import {
  eventually,
  expectProblem,
  newAccount,
  newImage,
  outside,
  postJson,
  problem,
  request,
  resource,
  runnerFor,
  send,
  type TestAccount,
} from "../testing/client.ts";
import { childSpan, traceId } from "../trace.ts";

describe("a request", () => {
  /** The lines about requests that are logged while the test runs. */
  function watchLog() {
    const lines: Record<string, unknown>[] = [];
    const spy = vi.spyOn(console, "info").mockImplementation((text: unknown) => {
      const line: unknown = JSON.parse(String(text));
      if (typeof line === "object" && line !== null && "message" in line && line.message === "request") {
        lines.push({ ...line });
      }
    });
    onTestFinished(() => spy.mockRestore());
    return async (response: Response) => {
      const body = await response.text();
      const id = response.headers.get("omni-request-id");
      await eventually(async () => expect(lines.filter((line) => line["request"] === id)).toHaveLength(1));
      return { body, line: lines.find((line) => line["request"] === id) };
    };
  }

  it("is one line in the log: who, what, how it ended, how long it took, how much it moved", async () => {
    const lineOf = watchLog();
    const account = await newAccount();
    const image = newImage(4_000);
    const response = await request(account, "/v1/analyses", {
      method: "POST",
      body: image,
      headers: { "content-type": "image/png", "content-length": "4000", prefer: "wait=30" },
    });
    const { body, line } = await lineOf(response);
    expect(line).toEqual({
      level: "info",
      message: "request",
      request: expect.stringMatching(/^rq_/),
      trace: expect.stringMatching(/^[0-9a-f]{32}$/),
      account: account.id,
      key: expect.stringMatching(/^ak_/),
      method: "POST",
      path: "/v1/analyses",
      route: "/v1/analyses",
      status: 201,
      code: null,
      milliseconds: expect.any(Number),
      bytes_in: 4000,
      bytes_out: new TextEncoder().encode(body).length,
    });
  });

  it("that is refused has the problem's code in its line, and no secret", async () => {
    const lineOf = watchLog();
    const account = await newAccount();
    const id = "an_01kaw4v3r8h7t2m9c5x1q6zd0e";
    const refused = await lineOf(await request(account, `/v1/analyses/${id}`));
    expect(refused.line).toMatchObject({
      account: account.id,
      route: "/v1/analyses/:id",
      status: 404,
      code: "not_found",
    });
    const stranger = await lineOf(await request({ id: "", key: `${account.key}x` }, "/v1/models"));
    expect(stranger.line).toMatchObject({ account: null, key: null, status: 401, code: "unauthorized" });
    const nowhere = await lineOf(await request(account, "/v2/nothing?token=secret"));
    expect(nowhere.line).toMatchObject({ route: "none", path: "/v2/nothing", code: "not_found" });
    expect(JSON.stringify([refused, stranger, nowhere].map(({ line }) => line))).not.toMatch(/omni_live|secret/);
  });

  it("that streams is logged once the stream is over, with all that was sent", async () => {
    const lineOf = watchLog();
    const account = await newAccount();
    const { id } = await resource(send(account, newImage()));
    const { body, line } = await lineOf(await request(account, `/v1/analyses/${id}/events`));
    expect(body).toContain("event: end");
    expect(line).toMatchObject({ route: "/v1/analyses/:id/events", bytes_out: new TextEncoder().encode(body).length });
  });
});

describe("traces", () => {
  const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

  it("go on under the caller's id, each span with one of its own", () => {
    const child = childSpan(parent);
    expect(child).toMatch(/^00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-01$/);
    expect(child).not.toBe(parent);
    expect(childSpan(parent.replace(/01$/, "00"))).toMatch(/-00$/);
    expect(traceId(child)).toBe("4bf92f3577b34da6a3ce929d0e0e4736");
    expect(traceId(childSpan("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"))).toBe(traceId(parent));
  });

  it.each([
    undefined,
    "",
    "nonsense",
    parent.replace("4bf9", "XXXX"),
    parent.toUpperCase(),
    `${parent}-more`,
    parent.replace(/^00/, "ff"),
    `00-${"0".repeat(32)}-00f067aa0ba902b7-01`,
    `00-4bf92f3577b34da6a3ce929d0e0e4736-${"0".repeat(16)}-01`,
  ])("begin anew where the caller's header is %s", (header) => {
    const span = childSpan(header);
    expect(span).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    expect(traceId(span)).not.toBe(traceId(parent));
  });

  it("are handed to the runner, at every attempt", async () => {
    const account = await newAccount();
    const image = newImage();
    const runner = await runnerFor(image, { kind: "crash" }, { kind: "succeed" });
    await request(account, "/v1/analyses", {
      method: "POST",
      body: image,
      headers: { "content-type": "image/png", prefer: "wait=30", traceparent: parent },
    });
    const traces = await runner.traces();
    expect(traces.map(traceId)).toEqual([traceId(parent), traceId(parent)]);
    expect(new Set(traces).size).toBe(2);
  });
});

describe("metrics", () => {
  async function scrape(operator: TestAccount): Promise<Map<string, number>> {
    const response = await request(operator, "/metrics");
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const lines = (await response.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]));
  }

  it("count by route and outcome", async () => {
    const operator = await newAccount({ operator: true });
    const account = await newAccount();
    const before = await scrape(operator);
    const broken = newImage();
    await runnerFor(broken, { kind: "refuse", problem: problem("image_corrupt") });
    await send(account, broken);
    await send(account, newImage(1_000));
    await expectProblem(send(account, "text"), "unsupported_media_type");
    const receiver = await outside({ status: 200 });
    const endpoint = await (await postJson(account, "/v1/webhook-endpoints", { url: receiver.url })).json<{
      id: string;
    }>();
    await request(account, `/v1/webhook-endpoints/${endpoint.id}/test`, { method: "POST" });
    await eventually(async () => {
      const after = await scrape(operator);
      const grown = (series: string) => (after.get(series) ?? 0) - (before.get(series) ?? 0);
      const requests = 'omni_edge_requests_total{route="/v1/analyses",method="POST",';
      expect(grown(`${requests}status="201",outcome="ok"}`)).toBe(2);
      expect(grown(`${requests}status="415",outcome="unsupported_media_type"}`)).toBe(1);
      expect(grown('omni_edge_request_duration_seconds_count{route="/v1/analyses"}')).toBe(3);
      expect(grown('omni_edge_request_duration_seconds_bucket{route="/v1/analyses",le="+Inf"}')).toBe(3);
      expect(grown('omni_edge_request_bytes_total{route="/v1/analyses",direction="out"}')).toBeGreaterThan(500);
      expect(grown('omni_edge_analyses_total{outcome="image_corrupt",cached="false"}')).toBe(1);
      expect(grown('omni_edge_analyses_total{outcome="ok",cached="false"}')).toBe(1);
      expect(grown('omni_edge_webhook_attempts_total{outcome="delivered"}')).toBe(1);
    });
  });

  it("name the route also where it comes before the authentication, and none where there is none", async () => {
    const operator = await newAccount({ operator: true });
    const before = await scrape(operator);
    await request(null, "/v1/playground/session", { method: "POST" });
    await request(null, "/v1/shared/of-nothing");
    await request(operator, "/v1/nothing");
    await eventually(async () => {
      const after = await scrape(operator);
      for (const labels of [
        'route="/v1/playground/session",method="POST",status="200",outcome="ok"',
        'route="/v1/shared/:token",method="GET",status="400",outcome="invalid_request"',
        'route="none",method="GET",status="404",outcome="not_found"',
      ]) {
        const series = `omni_edge_requests_total{${labels}}`;
        expect((after.get(series) ?? 0) - (before.get(series) ?? 0), labels).toBe(1);
      }
    });
  });

  it("are for operators only", async () => {
    await expectProblem(request(await newAccount({ scopes: "read write admin" }), "/metrics"), "forbidden");
    await expectProblem(request(null, "/metrics"), "unauthorized");
  });
});
