/** Nothing that the worker logs holds a key, a secret, a signed address, or anything of an image or of what is said of it. */

import { env } from "cloudflare:workers";
import { createdApiKey } from "@omni-iml/shared/accounts";
import { share } from "@omni-iml/shared/shares";
import { createdWebhookEndpoint } from "@omni-iml/shared/webhooks";
import { expect, it, onTestFinished, vi } from "vitest";
import {
  eventually,
  newAccount,
  newImage,
  outside,
  postJson,
  problem,
  request,
  resource,
  runnerFor,
  send,
} from "../testing/client.ts";

it("the log of everything that goes well and wrong holds no secret", async () => {
  const lines: string[] = [];
  for (const level of ["log", "info", "warn", "error", "debug"] as const) {
    const spy = vi.spyOn(console, level).mockImplementation((...parts: unknown[]) => void lines.push(parts.join(" ")));
    onTestFinished(() => spy.mockRestore());
  }
  const account = await newAccount({ scopes: "read write admin" });
  const { key } = createdApiKey.parse(await (await postJson(account, "/v1/api-keys", { name: "second" })).json());
  const receiver = await outside({ status: 500 });
  const hook = `${receiver.url}?token=of-the-receiver`;
  const made = await postJson(account, "/v1/webhook-endpoints", { url: hook, description: "of-the-endpoint" });
  const { secret, id: endpoint } = createdWebhookEndpoint.parse(await made.json());

  const image = newImage(600);
  image.set(new TextEncoder().encode("bytes-of-the-image"), 100);
  const fields = { metadata: '{"case":"of-the-metadata"}' };
  const whole = await resource(send(account, image, { fields }));
  await request(account, `/v1/analyses/${whole.id}/events?token=in-the-query`);
  await postJson(account, `/v1/analyses/${whole.id}/feedback`, { finding: "right", comment: "of-the-feedback" });
  // What goes wrong is what is logged at length.
  for (const step of [
    { kind: "crash" } as const,
    { kind: "refuse", problem: problem("image_corrupt") } as const,
    { kind: "refuse", problem: problem("unauthorized") } as const,
  ]) {
    const broken = newImage(300);
    await runnerFor(broken, step, { kind: "succeed" });
    await send(account, broken, { fields });
  }
  const private_ = await outside({ status: 302, headers: { location: "http://10.0.0.1/?token=of-the-redirect" } });
  for (const image_url of [private_.url, `${private_.url}?token=of-the-image-url`]) {
    expect((await postJson(account, "/v1/analyses", { image_url })).status).toBe(422);
  }
  await request({ id: "", key: `${account.key.slice(0, -1)}x` }, "/v1/models");
  const upload = await (
    await postJson(account, "/v1/uploads", { bytes: 10, content_type: "image/png", filename: "of-the-file.png" })
  ).json<{ put: { url: string } }>();
  await request(account, `/v1/webhook-endpoints/${endpoint}/test`, { method: "POST" });
  await eventually(async () => {
    const tried = await (await request(account, `/v1/webhook-endpoints/${endpoint}`)).json<{ dead_letters: number }>();
    expect(tried.dead_letters).toBeGreaterThan(1);
  });
  const shared = await request(account, `/v1/analyses/${whole.id}/share`, { method: "POST" });
  const { token } = share.parse(await shared.json());
  const rooms = ["/v1/shared/", "/shared/", "/v1//shared//", "/V1/Shared/", "/v1/shared%2F", "/v1/analyses/", "/"];
  for (const path of rooms.flatMap((room) => [`${room}${token}`, `${room}${token}/input`, `${room}${token}/none`])) {
    await request(null, path, { redirect: "manual" });
  }
  await request(account, `/v1/analyses/${whole.id}`, { method: "DELETE" });

  const text = lines.join("\n");
  expect(lines.length).toBeGreaterThan(10);
  const secrets = [
    ...[account.key, key ?? "", secret, token, env.RUNNER_SECRET, env.EGRESS_PROXY_SECRET],
    ...Object.values(whole.files).map(({ url }) => new URL(url).searchParams.get("X-Amz-Signature") ?? ""),
    new URL(upload.put.url).searchParams.get("X-Amz-Signature") ?? "",
  ];
  for (const one of secrets) {
    expect(one.length, "a secret that there is").toBeGreaterThan(8);
    expect(text).not.toContain(one);
  }
  expect(text).not.toMatch(/X-Amz-|whsec_|omni_live_|v1=[0-9a-f]{64}|token=/);
  expect(text).not.toMatch(/of-the-|bytes-of|in-the-query/);
});
