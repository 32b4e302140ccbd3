// A film of 300 MB through everything that is real: the command, the Worker, the object, the bucket. Stopped in the middle it goes on, and the server's memory
// does not follow the file's size.
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOT } from "../../scripts/stack.ts";
import { openRoom, type Room } from "./support/room.ts";

const MB = 1024 * 1024;
const SIZE = 300 * MB + 1234;

let room: Room;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "comfyume-upload-"));
  room = await openRoom();
});

afterAll(async () => {
  await room.end();
  rmSync(folder, { recursive: true, force: true });
});

/** A file without repetition; answers its sha256. */
function makeFilm(path: string): string {
  const hash = createHash("sha256");
  const file = openSync(path, "w");
  for (let left = SIZE; left > 0; ) {
    const chunk = randomBytes(Math.min(left, MB));
    hash.update(chunk);
    writeSync(file, chunk);
    left -= chunk.byteLength;
  }
  closeSync(file);
  return hash.digest("hex");
}

type Run = { child: ChildProcess; said(): string; printed(): string; ended: Promise<number | null> };

function command(args: string[]): Run {
  const child = spawn(process.execPath, [join(ROOT, "scripts/upload.ts"), ...args], { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, COMFYUME_PASSWORD: room.access.seats[0]!.password } });
  const [out, error]: [string[], string[]] = [[], []];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => error.push(chunk.toString()));
  return { child, said: () => error.join(""), printed: () => out.join(""), ended: new Promise((resolve) => child.once("close", resolve)) };
}

/** Resident bytes of every workerd below a process. */
function workerdMemory(): number {
  const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    try {
      const [, name = "", parent = ""] = /^\d+ \((.*)\) \S+ (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
      return [{ pid: Number(pid), name, parent: Number(parent), resident: Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * 4096 }];
    } catch {
      return [];
    }
  });
  const below = (pid: number): number[] => [pid, ...processes.filter(({ parent }) => parent === pid).flatMap((child) => below(child.pid))];
  const ours = new Set(below(room.children.get("wrangler")!.pid!));
  return processes.filter(({ pid, name }) => ours.has(pid) && name === "workerd").reduce((sum, { resident }) => sum + resident, 0);
}

test("300 MB arrive in parts, stopped and gone on with, without being held in the server's memory", async () => {
  const film = join(folder, "film.mp4");
  const sha256 = makeFilm(film);
  const ada = room.client(1);
  // A first small one, so that everything that is loaded once has been.
  const small = join(folder, "small.bin");
  const file = openSync(small, "w");
  writeSync(file, randomBytes(20 * MB));
  closeSync(file);
  expect(await command([`${ada.url}/`, small]).ended).toBe(0);
  const before = workerdMemory();
  let most = before;
  const watch = setInterval(() => (most = Math.max(most, workerdMemory())), 50);

  const first = command([`${ada.url}/`, film, "--subfolder", "clips"]);
  await expect.poll(() => first.said(), { timeout: 60_000 }).toMatch(/(?:3|4|5)\d % of/);
  first.child.kill("SIGKILL");
  expect(await first.ended).not.toBe(0);
  expect(first.printed()).toBe("");

  const second = command([`${ada.url}/`, film, "--subfolder", "clips"]);
  expect(await second.ended, second.said()).toBe(0);
  clearInterval(watch);
  expect(second.said()).toMatch(/(?:2|3|4|5|6)\d % are there already; going on/);
  expect(second.printed()).toBe("clips/film.mp4\n");
  process.stderr.write(`  workerd: ${Math.round(before / MB)} MB before, ${Math.round(most / MB)} MB at most while ${Math.round(SIZE / MB)} MB passed\n`);
  // The process's heap grows to what its collector leaves lying (some 200 MB in all, however much passes); a server that held the file would add the file to it.
  expect(most - before).toBeLessThan(SIZE);

  const hash = createHash("sha256");
  const view = await ada.picture({ filename: "film.mp4", subfolder: "clips", type: "input" });
  expect(view.headers.get("content-length")).toBe(String(SIZE));
  for await (const chunk of view.body!) hash.update(chunk);
  expect(hash.digest("hex")).toBe(sha256);
});

test("the command says what is wrong: no such file, no such seat, a wrong password", async () => {
  const film = join(folder, "small.bin");
  const ada = room.client(1);
  for (const [args, words] of [
    [[ada.url, join(folder, "nothing.mp4")], /is not a file/],
    [["not an address", film], /is no address/],
    [[ada.url, film, "--user", "nobody"], /Give its name and password/],
    [[`${room.origin}/demo`, film, "--user", "user001"], /Give the address of a seat|There is no/],
    [[], /Usage: npm run upload/],
  ] as const) {
    const run = command([...args]);
    expect(await run.ended).toBe(1);
    expect(run.said()).toMatch(words);
  }
});
