// The operator's command line against the whole product: every command once, and a class's log replayed bit for bit [Q5][I11].
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT } from "../../scripts/stack.ts";
import { openRoom, type Room } from "./support/room.ts";
import { colourGraph } from "./support/seat-client.ts";

let room: Room;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "comfyume-cli-"));
  room = await openRoom({ seats: 3 });
});
afterAll(async () => {
  await room?.end();
  rmSync(folder, { recursive: true, force: true });
});

type Said = { code: number | null; out: string; err: string };

async function cli(args: string[], input = ""): Promise<Said> {
  const child = spawn(process.execPath, [join(ROOT, "scripts/workshop.ts"), ...args], { env: { ...process.env, WORKSHOP_URL: room.origin, OPERATOR_TOKEN: room.operatorToken } });
  const said: Said = { code: null, out: "", err: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said.out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said.err += text));
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  said.code = await new Promise((resolve) => child.once("close", resolve));
  return said;
}

const opens = async (workshop: string, seat: string, password: string): Promise<number> => (await fetch(`${room.origin}/${workshop}/${seat}/prompt`, { headers: { authorization: `Basic ${btoa(`${seat}:${password}`)}` } })).status;

describe("npm run workshop", () => {
  test("creates a workshop, its seats, passwords, pools and tokens, and shows them again", async () => {
    const made = await cli(["create", "evening", "--title", "Evening class", "--seats", "2", "--pool", "gpu:pull:2"]);
    expect([made.code, made.err]).toEqual([0, ""]);
    const password = /^user002 +([a-z2-7]{26})$/m.exec(made.out)?.[1] ?? "";
    expect(await opens("evening", "user002", password)).toBe(200);
    expect((await cli(["list"])).out).toMatch(/^evening +\d{4}-\d\d-\d\d {2}Evening class$/m);
    expect((await cli(["seats", "evening", "--add", "1"])).out).toMatch(/^user003 +[a-z2-7]{26}$/m);
    expect((await cli(["seats", "evening", "--names", "ada,bob"])).out.trim().split("\n")).toHaveLength(2);
    const all = JSON.parse((await cli(["seats", "evening", "--json"])).out) as { seats: { seat: string }[] };
    expect(all.seats.map(({ seat }) => seat)).toEqual(["instructor", "ada", "bob", "user001", "user002", "user003"]);
    const renewed = /([a-z2-7]{26})/.exec((await cli(["password", "evening", "user002"])).out)?.[1] ?? "";
    expect([await opens("evening", "user002", renewed), renewed === password]).toEqual([200, false]);
    expect((await cli(["pools", "evening", "spare", "--provider", "pull", "--slots", "1"])).out).toContain("spare of evening is set up");
    expect((await cli(["token", "evening", "spare"])).out).toMatch(/^cmp_\S+\n$/);
    expect((await cli(["health", "demo"])).out).toMatch(/open, order fair, revision \d+\n.*waiting.*\n.*idle/s);
  });

  test("[Q5] a class's log replays to the same dispatches and the same state", async () => {
    const clients = [1, 2, 3].map((n) => room.client(n));
    const jobs = await Promise.all(clients.flatMap((client, n) => [0, 1].map(async (round) => ({ client, job: await client.submit(colourGraph(n * 10 + round, `log${n}`)) }))));
    for (const { client, job } of jobs) expect((await client.ended(job, 60)).status.status_str).toBe("success");
    const file = join(folder, "class.ndjson");
    expect((await cli(["log", "demo", "--out", file])).code).toBe(0);
    const replayed = await cli(["replay", file]);
    expect([replayed.code, replayed.err]).toEqual([0, ""]);
    expect(replayed.out).toContain("The replay is the workshop, bit for bit.");
    const starts = replayed.out.split("\n").filter((line) => /local-1 +user00\d/.test(line));
    expect(starts).toHaveLength(6);
    for (const { job } of jobs) expect(starts.filter((line) => line.includes(`${job.slice(-12)}#1`))).toHaveLength(1);
    const text = readFileSync(file, "utf8");
    expect((await cli(["replay", "-", "--quiet"], text)).code).toBe(0);
    // The workshop may have moved on between the two; its log is whole all the same.
    expect((await cli(["replay", "demo", "--quiet"])).out).toContain("bit for bit");

    const changed = join(folder, "changed.ndjson");
    writeFileSync(changed, text.replace(/("type":"job_dispatched".*?"slot":")local-1/, "$1local-2"));
    expect(await cli(["replay", changed, "--quiet"])).toMatchObject({ code: 1, out: expect.stringMatching(/Entry \d+ decided differently[\s\S]*NOT what the workshop did/) });
    writeFileSync(changed, text.split("\n").slice(0, -4).join("\n"));
    expect(await cli(["replay", changed, "--quiet"])).toMatchObject({ code: 1, out: expect.stringContaining("cut off while it was exported") });
  });

  test("what it cannot do it says in a sentence, with the way out", async () => {
    expect(await cli([])).toMatchObject({ code: 2, out: expect.stringContaining("npm run workshop -- COMMAND") });
    expect(await cli(["frobnicate"])).toMatchObject({ code: 2, err: expect.stringContaining('no command "frobnicate"') });
    expect(await cli(["token", "demo", "--add", "3"])).toMatchObject({ code: 2, err: expect.stringContaining("takes no --add") });
    expect(await cli(["password", "demo"])).toMatchObject({ code: 2, err: expect.stringContaining("password NAME SEAT") });
    expect(await cli(["health", "nowhere"])).toMatchObject({ code: 1, err: expect.stringContaining("no such workshop") });
    expect(await cli(["create", "Bad Name"])).toMatchObject({ code: 1, err: expect.stringContaining("small letters") });
    expect(await cli(["list", "--url", "http://127.0.0.1:1"])).toMatchObject({ code: 1, err: expect.stringContaining("Nobody answers") });
    expect(await cli(["replay", join(folder, "none.ndjson")])).toMatchObject({ code: 1, err: expect.stringContaining("There is no file") });
    expect(await cli(["replay", join(ROOT, "package.json")])).toMatchObject({ code: 1, err: expect.stringContaining("Line 1 is no line") });
    expect(await cli(["log", "demo", "--since", "999999999"])).toMatchObject({ code: 0 });
  });
});
