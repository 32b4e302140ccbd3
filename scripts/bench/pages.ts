// What the stock page costs the network: requests and bytes of a first load (empty cache), of the next one, and of a room of seats doing both.
// Counted by Chromium itself, as they came over the wire (headers and compression included), behind `wrangler dev`, which serves the assets.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext } from "playwright-core";
import { launchChromium, pageReady, signIn } from "../chromium.ts";
import { freePort, type SeatAccess, startStack } from "../stack.ts";
import { howMany } from "./fault.ts";
import type { Row } from "./main.ts";

type Answer = { url: string; status: number; json: boolean; cached: boolean; wire: number; decoded: number };
type Load = { answers: Answer[]; ms: number };

/** Bytes of uncompressed JSON above which an answer must not be sent again when it could be revalidated (issue text: 1 MB). */
const LARGE = 1_000_000;
/** Pages loading at the same time in the room: more would measure this machine's browser, not the product. */
const AT_ONCE = 4;

/** One page load in a fresh tab of this browser context, from the seat's address to a running page. */
async function load(context: BrowserContext, seat: SeatAccess, signedIn: boolean): Promise<Load> {
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  const seen = new Map<string, Answer>();
  const raw = new Map<string, number>();
  await session.send("Network.enable");
  session.on("Network.responseReceivedExtraInfo", ({ requestId, statusCode }) => raw.set(requestId, statusCode));
  session.on("Network.requestServedFromCache", ({ requestId }) => {
    const answer = seen.get(requestId);
    if (answer !== undefined) answer.cached = true;
  });
  session.on("Network.responseReceived", ({ requestId, response }) => {
    if (!/^https?:/.test(response.url)) return;
    seen.set(requestId, { url: response.url, status: response.status, json: response.mimeType === "application/json", cached: response.fromDiskCache === true, wire: 0, decoded: 0 });
  });
  session.on("Network.dataReceived", ({ requestId, dataLength }) => {
    const answer = seen.get(requestId);
    if (answer !== undefined) answer.decoded += dataLength;
  });
  session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    const answer = seen.get(requestId);
    if (answer !== undefined) answer.wire = encodedDataLength;
  });
  const begun = performance.now();
  if (signedIn) {
    await page.goto(seat.url);
    await pageReady(page);
  } else await signIn(page, seat);
  const ms = performance.now() - begun;
  await page.close();
  // A revalidated answer is shown to the page as the 200 it stands for; the wire's own status is kept beside it.
  return { ms, answers: [...seen].map(([id, answer]) => Object.assign(answer, { status: raw.get(id) ?? answer.status })) };
}

function report(name: string, loads: Load[], print: (row: Row) => void): void {
  const answers = loads.flatMap((one) => one.answers);
  const sent = answers.filter((answer) => answer.status === 304 || !answer.cached);
  const row = (metric: string, value: number, unit: string): void => print({ suite: "pages", case: name, metric, value: Math.round(value), unit });
  const times = loads.map(({ ms }) => ms).sort((a, b) => a - b);
  row("requests", sent.length, "1");
  row("from_cache", answers.length - sent.length, "1");
  row("not_modified", sent.filter(({ status }) => status === 304).length, "1");
  row("wire", sent.reduce((sum, { wire }) => sum + wire, 0), "bytes");
  row("json_wire", sent.filter(({ json }) => json).reduce((sum, { wire }) => sum + wire, 0), "bytes");
  row("largest_json_sent", Math.max(0, ...sent.filter(({ json, status }) => json && status === 200).map(({ decoded }) => decoded)), "bytes");
  row("large_json_sent", sent.filter(({ json, status, decoded }) => json && status === 200 && decoded > LARGE).length, "1");
  row("ready_p50", times[Math.floor(times.length / 2)] ?? 0, "ms");
}

async function room(browser: Browser, seats: SeatAccess[], print: (row: Row) => void): Promise<void> {
  const people = await Promise.all(seats.map(async (seat) => ({ seat, context: await browser.newContext() })));
  for (const signedIn of [false, true]) {
    const loads: Load[] = [];
    for (let at = 0; at < people.length; at += AT_ONCE) loads.push(...(await Promise.all(people.slice(at, at + AT_ONCE).map(({ seat, context }) => load(context, seat, signedIn)))));
    report(`room${seats.length}/${signedIn ? "second" : "first"}`, loads, print);
  }
  await Promise.all(people.map(({ context }) => context.close()));
}

/** `npm run bench -- pages [SEATS]`; 20 seats unless told. */
export async function run(args: string[], print: (row: Row) => void): Promise<void> {
  const seats = howMany(args, "seats", 20);
  const stateDir = mkdtempSync(join(tmpdir(), "comfyume-pages-"));
  const stack = await startStack({ port: await freePort(), workshop: "bench", seats: seats + 1, runners: 1, stateDir, workshopDir: join(stateDir, "workshop") });
  const browser = await launchChromium();
  try {
    const [alone, ...others] = stack.access.seats;
    if (alone === undefined) throw new Error("the room has no seat");
    const context = await browser.newContext();
    report("one/first", [await load(context, alone, false)], print);
    report("one/second", [await load(context, alone, true)], print);
    await context.close();
    await room(browser, others, print);
  } finally {
    await browser.close();
    await stack.stop();
    rmSync(stateDir, { recursive: true, force: true });
  }
}
