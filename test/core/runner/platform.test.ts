// What a runner makes of the platform's answers, over a real socket.
import { createServer, type Server } from "node:http";
import { afterAll, beforeAll, expect, it } from "vitest";
import { AttemptRoutes, Refused, Unanswered } from "../../../gpu-adapter/runner/platform.ts";

let server: Server;
let routes: AttemptRoutes;
let answer: { status: number; body: string } = { status: 200, body: "" };
beforeAll(async () => {
  server = createServer((incoming, response) => {
    incoming.resume().once("end", () => response.writeHead(answer.status).end(answer.body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  routes = new AttemptRoutes(`http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/runner/v1/demo`, "token", "job", 1);
});
afterAll(() => void server.close());

async function said(status: number, body: string): Promise<unknown> {
  answer = { status, body };
  return await routes.uploads("lease", []).catch((error: unknown) => error);
}

it("[G21] a platform that is not set up is asked again, and its own words come along", async () => {
  const error = await said(503, JSON.stringify({ reason: "misconfigured", message: "R2_BUCKET is missing." }));
  expect(error).toBeInstanceOf(Unanswered);
  expect(String(error)).toContain("/uploads: 503 R2_BUCKET is missing.");
});

it("a bare 502 of something in between is asked again too", async () => {
  const error = await said(502, "<html>");
  expect(error).toBeInstanceOf(Unanswered);
  expect(String(error)).toMatch(/: 502$/);
});

it("a refusal is an answer", async () => {
  const error = await said(409, JSON.stringify({ reason: "stale", message: "no" }));
  expect(error).toBeInstanceOf(Refused);
  expect((error as Refused).final).toBe(true);
});
