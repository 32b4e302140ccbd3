// Growth: what 10,000 waiting or 50,000 ended jobs do to a submit, to a dispatch decision, and to waking up. Three workshops in one runtime, measured in turn.
// Waiting jobs are submitted; ended ones are copies of a few that really ran, written into the stopped workshop's database.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { decide, defaultParams, defaultPool, emptyRows, restore, type QueueState, type Submit } from "../../durable-objects/queue/index.ts";
import { makeAgent, median, percentile, post, type Print, rounded, sleep } from "./driver.ts";
import { howMany } from "./fault.ts";
import { drain, PoolRunner } from "./pool-runners.ts";
import { asTarget, type Product, type Room, startProduct } from "./product.ts";
import { burst } from "./submit.ts";
import { promptBody, promptSize } from "./workload.ts";

const WAITING = 10_000;
const ENDED = 50_000;
const ROUNDS = 7;
/** Submits of one round, one after the other. */
const SUBMITS = 40;
const DECISIONS = 2000;
const SLOTS = 16;
/** ms without a request after which an object has left memory (the runtime waits 10 s). */
const ASLEEP_MS = 13_000;

export async function run(args: string[], print: Print): Promise<void> {
  const ended = howMany(args, "ended jobs", ENDED);
  decisions(print);
  const product = await startProduct(2, 1);
  try {
    const waiting = await product.room("waiting", 2, 1);
    const done = await product.room("ended", 2, 1);
    await burst(only(product, done), 1, 20, 0, () => 8_000);
    const runner = await PoolRunner.connect(product.at(done), "growth");
    await drain([runner], 20);
    runner.close();
    await product.restart(() => copyEnded(product.stateDir, ended));
    await burst(only(product, waiting), 20, WAITING / 20, 0, () => 500);
    const rooms: [string, Room][] = [["empty", product], [`waiting${WAITING}`, waiting], [`ended${ended}`, done]];
    await submits(product, rooms, print);
    await wakes(product, rooms, print);
  } finally {
    await product.close();
  }
}

/** Only the first seat sends: the second one's own lists stay empty. */
function only(product: Product, room: Room): ReturnType<typeof asTarget> {
  return asTarget(product, { ...room, seats: room.seats.slice(0, 1) });
}

/** Copies of the jobs that ran, with ids and numbers of their own, behind the last number the queue has given. */
function copyEnded(stateDir: string, total: number): void {
  const files = readdirSync(stateDir, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".sqlite"));
  for (const file of files) {
    const db = new DatabaseSync(join(stateDir, file));
    try {
      const known = db.prepare("SELECT 1 FROM sqlite_master WHERE name = 'meta'").get() !== undefined && db.prepare("SELECT value FROM meta WHERE key = 'workshop'").get()?.value === "ended";
      if (known) multiply(db, total);
    } finally {
      db.close();
    }
  }
}

function multiply(db: DatabaseSync, total: number): void {
  const columns = (table: string): string[] => db.prepare(`SELECT name FROM pragma_table_info('${table}')`).all().map(({ name }) => String(name));
  const first = Number(db.prepare("SELECT count(*) AS n FROM jobs").get()?.n);
  const base = Number(db.prepare("SELECT max(seq) AS n FROM jobs").get()?.n);
  const copy = (table: string, own: Record<string, string>): void => {
    const names = columns(table);
    const values = names.map((name) => own[name] ?? `t.${name}`).join(", ");
    db.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${Math.ceil(total / first) - 1}) INSERT INTO ${table} (${names.join(", ")}) SELECT ${values} FROM n, (SELECT * FROM ${table} WHERE seq <= ${base}) AS t`);
  };
  db.exec("BEGIN");
  copy("jobs", { seq: `t.seq + n.i * ${base}`, number: `t.number + n.i * ${base}`, job: "lower(hex(randomblob(16)))", idempotency_key: "NULL" });
  copy("prompts", { seq: `t.seq + n.i * ${base}` });
  db.exec("UPDATE queue_rows SET value = json_set(value, '$.nextSeq', (SELECT max(seq) + 1 FROM jobs)) WHERE kind = 'workshop'");
  db.exec("COMMIT");
}

/** One user, one prompt after the other, in each workshop in turn. */
async function submits(product: Product, rooms: [string, Room][], print: Print): Promise<void> {
  const agent = makeAgent(1);
  const each = new Map(rooms.map(([name]) => [name, [] as number[]]));
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [name, room] of rooms) {
      const target = only(product, room);
      for (let n = 0; n < SUBMITS; n++) {
        const answer = await post(agent, target.url(0), promptBody(round * SUBMITS + n, promptSize(n)), target.headers(0));
        if (answer.status !== 200) throw new Error(`submit answered ${answer.status}: ${answer.body.slice(0, 300)}`);
        // The first round warms up.
        if (round > 0) each.get(name)?.push(answer.ms);
      }
    }
  }
  agent.destroy();
  const empty = median(each.get("empty") ?? []);
  for (const [name, list] of each) {
    print({ suite: "growth", case: name, metric: "submit_p50", value: rounded(median(list)), unit: "ms" });
    if (name !== "empty") print({ suite: "growth", case: name, metric: "submit_p50_ratio", value: rounded(median(list) / empty), unit: "x" });
  }
}

/** The first request to each workshop after it has slept; that it slept is told by its ETags, which begin anew with each waking. */
async function wakes(product: Product, rooms: [string, Room][], print: Print): Promise<void> {
  const look = async (room: Room): Promise<{ ms: number; series: string }> => {
    const seat = room.seats[1];
    const began = performance.now();
    const answer = await fetch(`${product.url}/${room.workshop}/${seat?.seat}/queue`, { headers: { cookie: seat?.cookie ?? "" } });
    await answer.text();
    return { ms: performance.now() - began, series: /queue-(\w+)/.exec(answer.headers.get("etag") ?? "")?.[1] ?? "" };
  };
  const before = new Map<string, string>();
  for (const [name, room] of rooms) before.set(name, (await look(room)).series);
  await sleep(ASLEEP_MS);
  for (const [name, room] of rooms) {
    const { ms, series } = await look(room);
    if (series === before.get(name)) process.stderr.write(`  ${name}: the object had not left memory after ${ASLEEP_MS} ms; its waking was not measured\n`);
    else print({ suite: "growth", case: name, metric: "wake", value: rounded(ms), unit: "ms" });
  }
}

/** One decision: a run ends, its slot is free, the next job is chosen and dispatched; with few and with many waiting. The pure core, in this process. */
function decisions(print: Print): void {
  for (const waiting of [100, WAITING]) {
    const state = busy(waiting);
    const ms: number[] = [];
    for (let n = 0; n < DECISIONS; n++) {
      // Right behind the last submit: nothing runs into a deadline.
      const now = 2000 + waiting + 50 * n;
      const attempt = [...state.attempts.values()][0];
      if (attempt === undefined) throw new Error("nothing was dispatched");
      decide(state, { type: "claim", job: attempt.job, attempt: attempt.number, runner: attempt.slot, lease: `l${n}` }, now);
      const began = performance.now();
      const decision = decide(state, { type: "result", job: attempt.job, attempt: attempt.number, lease: `l${n}`, digest: "d", outcome: "succeeded", filesCommitted: true, timings: { execMs: 40, loadMs: 0 } }, now + 40);
      ms.push(performance.now() - began);
      if (!decision.ok || !decision.effects.some(({ type }) => type === "dispatch")) throw new Error("the freed slot was not filled");
      decide(state, submit(`again${n}`, n), now + 41);
    }
    for (const [metric, p] of [["dispatch_decision_p50", 0.5], ["dispatch_decision_p99", 0.99]] as const) print({ suite: "growth", case: `waiting${waiting}`, metric, value: rounded(percentile(ms, p), 4), unit: "ms" });
  }
}

function busy(waiting: number): QueueState {
  const rows = emptyRows();
  const state = restore({ ...rows, params: { ...defaultParams, seatMax: 1e6, queueMax: 1e6 } });
  decide(state, { type: "upsert_pool", pool: { ...defaultPool, id: "p", position: 0, maxInFlight: SLOTS } }, 1000);
  decide(state, { type: "set_wanted", slots: SLOTS, by: "bench" }, 1000);
  for (let n = 0; n < waiting + SLOTS; n++) decide(state, submit(`job${n}`, n), 1000 + n);
  return state;
}

function submit(id: string, n: number): Submit {
  return { type: "submit", id, seat: `user${n % 20}`, instructor: false, background: false, front: false, userPriority: 0, class: 2, signature: `m${n % 3}`, timing: `m${n % 3}|x`, kind: "image", requires: [], bytes: 1000, idempotency: null };
}

