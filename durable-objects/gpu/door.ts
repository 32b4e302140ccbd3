// What operators ask of a workshop's GPUs: how the chain stands and why, money, warm and cool, self-tests, the provider's own switches.
import type { Answer, PoolSetup, Refusal } from "../contract.ts";
import type { GpuView, PoolAction, PoolNoteView, PoolView, TestView } from "../gpu-contract.ts";
import type { Pool } from "../queue/index.ts";
import { refused } from "../refusals.ts";
import { runnerLines } from "../runner-lines.ts";
import type { Shell } from "../shell.ts";
import { integer, text } from "../sql.ts";
import type { Said } from "./facts.ts";
import { codeWords } from "./journal.ts";
import { moneyOf } from "./money.ts";
import { coolOrder } from "./schedule.ts";
import { LEAD_MS } from "./keeper.ts";

/** What a provider said longer ago than this is no news (ms). */
const FRESH_MS = 5 * 60_000;

export class GpuDoor {
  readonly #shell: Shell;

  constructor(shell: Shell) {
    this.#shell = shell;
  }

  async gpus(ask: boolean): Promise<Answer<{ view: GpuView }>> {
    const missing = this.#shell.missing();
    if (missing) return missing;
    const pools = [...this.#shell.engine.state.pools.values()].filter(({ removed }) => !removed).sort((a, b) => a.position - b.position || (a.id < b.id ? -1 : 1));
    if (ask) await Promise.all(pools.map(({ id }) => this.#shell.gpus.keeper.ask(id)));
    const { workshop } = this.#shell.engine.state;
    return { ok: true, view: { slots: workshop.wanted, pools: pools.map((pool) => this.#view(pool)), money: this.#money() } };
  }

  notes(limit: number, pool: string | null): Answer<{ notes: PoolNoteView[] }> {
    return this.#shell.missing() ?? { ok: true, notes: this.#shell.gpus.journal.read(limit, pool) };
  }

  remove(pool: string, by: string): Answer<object> {
    const missing = this.#shell.missing() ?? this.#unknown(pool);
    if (missing) return missing;
    const decision = this.#shell.run<"remove_pool">({ type: "remove_pool", pool, by });
    if (!decision.ok) return refused(decision);
    this.#shell.gpus.tests.drop(pool);
    this.#shell.gpus.letGo(pool);
    return { ok: true };
  }

  setSlots(slots: number, by: string): Answer<object> {
    const missing = this.#shell.missing();
    if (missing) return missing;
    const decision = this.#shell.run<"set_wanted">({ type: "set_wanted", slots, by });
    if (!decision.ok) return refused(decision);
    // From here on the number is the operator's: a new pool is a further resort, not more slots.
    this.#shell.setMeta("slots", String(slots));
    return { ok: true };
  }

  setBudget(budget: number | null, by: string): Answer<object> {
    const missing = this.#shell.missing();
    if (missing) return missing;
    const decision = this.#shell.run<"set_budget">({ type: "set_budget", budget, by });
    return decision.ok ? { ok: true } : refused(decision);
  }

  warm(pool: string, replicas: number, until: number, by: string): Answer<{ says: string }> {
    const missing = this.#shell.missing() ?? this.#unscalable(pool);
    if (missing) return missing;
    this.#shell.gpus.facts.put(pool, { order: { replicas, until }, fault: null });
    this.#shell.gpus.journal.note({ at: this.#shell.engine.now(), pool, kind: "info", line: `${by} wants ${replicas} kept up until ${new Date(until).toISOString().slice(0, 16)}Z` });
    return this.#follow(`${replicas} machine${replicas === 1 ? "" : "s"} of ${pool} will be kept up until ${new Date(until).toISOString().slice(0, 16).replace("T", " ")} UTC. Cold starts take minutes; npm run gpu -- pools shows when they are up.`);
  }

  cool(pool: string, by: string): Answer<{ says: string }> {
    const missing = this.#shell.missing() ?? this.#unscalable(pool);
    if (missing) return missing;
    const there = this.#shell.engine.state.pools.get(pool);
    const order = coolOrder(this.#shell.poolSetup(pool)?.sessions ?? [], there?.startup90 || LEAD_MS, this.#shell.engine.now());
    this.#shell.gpus.facts.put(pool, { order, fault: null });
    this.#shell.gpus.journal.note({ at: this.#shell.engine.now(), pool, kind: "info", line: `${by} wants none kept up` });
    return this.#follow(`Machines of ${pool} are no longer kept up${order === null ? "" : ", although a booked session runs"}. Those that are up go when nothing runs and the provider's scale-down delay is over.`);
  }

  #follow(says: string): Answer<{ says: string }> {
    this.#shell.gpus.tick();
    this.#shell.rearm();
    return { ok: true, says };
  }

  async control(pool: string, action: PoolAction): Promise<Answer<{ says: string }>> {
    const missing = this.#shell.missing() ?? this.#unknown(pool);
    if (missing) return missing;
    const said = (await this.#shell.providers.open(pool)?.control({ action })) ?? { outcome: "unsupported" as const };
    switch (said.outcome) {
      case "done":
        this.#shell.gpus.journal.note({ at: this.#shell.engine.now(), pool, kind: "info", line: `the operator's ${action} was done at the provider` });
        return { ok: true, says: `${action} of ${pool}: done.` };
      case "unsupported":
        return { ok: false, reason: "bad_request", message: `The provider of ${pool} has no ${action}.` };
      default:
        return { ok: false, reason: "conflict", message: `${action} of ${pool} was not done: ${said.message}` };
    }
  }

  async logs(pool: string, limit: number): Promise<Answer<{ lines: { at: string; line: string }[] }>> {
    const missing = this.#shell.missing() ?? this.#unknown(pool);
    if (missing) return missing;
    const said = (await this.#shell.providers.open(pool)?.logs(limit)) ?? { outcome: "unsupported" as const };
    switch (said.outcome) {
      case "known":
        return { ok: true, lines: said.lines };
      case "unsupported":
        return { ok: false, reason: "bad_request", message: `The provider of ${pool} gives no logs here; see its own console.` };
      default:
        return { ok: false, reason: "conflict", message: `The logs of ${pool} are not to be had: ${said.message}` };
    }
  }

  test(pool: string): Answer<{ test: TestView }> {
    return this.#shell.missing() ?? this.#unknown(pool) ?? this.#shell.gpus.tests.begin(pool);
  }

  look(pool: string): Answer<{ test: TestView }> {
    return this.#shell.missing() ?? this.#unknown(pool) ?? this.#shell.gpus.tests.look(pool);
  }

  // ---- views ----------------------------------------------------------------------------------------------------------------------------------
  #view(pool: Pool): PoolView {
    const setup = this.#shell.poolSetup(pool.id);
    const facts = this.#shell.gpus.facts.of(pool.id);
    const wish = this.#shell.gpus.keeper.wish(pool.id);
    const attempts = [...this.#shell.engine.state.attempts.values()].filter((attempt) => attempt.pool === pool.id);
    const claimed = attempts.filter(({ lease }) => lease !== null).length;
    return {
      pool: pool.id, provider: setup?.provider ?? "pull", position: pool.position, slots: pool.maxInFlight, draining: pool.draining, groups: pool.groups,
      gpu: setup?.gpu ?? null, spot: setup?.spot ?? false, rate: pool.rate, speed: pool.speed, memory_mb: pool.memory,
      endpoint: setup?.endpoint ?? null,
      secrets: this.#secrets(setup),
      unclaimed: attempts.length - claimed, claimed,
      circuit: this.#circuit(pool),
      startup: { p50: pool.startup50, p90: pool.startup90, measured: facts.starts.length },
      machines: facts.said === null ? null : machinesOf(facts.said),
      runners: runnerLines(this.#shell.sockets.runners(pool.id)),
      silent: facts.silent,
      warm: { wanted: wish.replicas, why: wish.why, until: wish.until, applied: facts.applied, fault: facts.fault?.message ?? null },
      price: facts.price === null ? null : { per_hour: facts.price.microPerHour, currency: facts.price.currency, source: facts.price.source, at: facts.price.at },
      catalog: this.#catalog(pool),
    };
  }

  #secrets(setup: PoolSetup | null): PoolView["secrets"] {
    return [setup?.secret, setup?.control_secret].filter((name) => name !== undefined).map((name) => ({ name, set: this.#shell.providers.isSet(name) }));
  }

  #circuit({ circuit }: Pool): PoolView["circuit"] {
    if (circuit.failures === 0) return { state: "closed", until: null, code: null, says: null };
    const rests = circuit.openUntil > this.#shell.engine.now();
    const words = codeWords(circuit.code ?? "");
    return { state: rests ? "open" : "half_open", until: circuit.openUntil, code: circuit.code, says: rests ? `${words}; the next try is due then` : `${words}; one job at a time is tried` };
  }

  #catalog(pool: Pool): PoolView["catalog"] {
    const row = this.#shell.sql.all("SELECT digest, reported, comfyui_version FROM catalogs WHERE pool = ?", pool.id)[0];
    if (row === undefined) return null;
    const count = (prefix: string): number => pool.offers?.filter((key) => key.startsWith(prefix)).length ?? 0;
    return { digest: text(row, "digest"), reported: integer(row, "reported"), comfyui_version: text(row, "comfyui_version"), nodes: count("n:"), models: count("m:") };
  }

  #money(): GpuView["money"] {
    const { workshop, derived, attempts, pools } = this.#shell.engine.state;
    const now = this.#shell.engine.now();
    const busy = [...attempts.values()].filter(({ lease }) => lease !== null);
    const idle = [...pools.values()].flatMap((pool) => {
      const { said } = this.#shell.gpus.facts.of(pool.id);
      const machines = said === null || now - said.at > FRESH_MS ? 0 : said.up - busy.filter((attempt) => attempt.pool === pool.id).length;
      return machines > 0 ? [{ machines, rate: pool.rate }] : [];
    });
    return moneyOf({ budget: workshop.budget, spent: workshop.spent, reserved: derived.reserved, busy: busy.map(({ rate }) => rate), idle }, now);
  }

  #unknown(pool: string): Refusal | null {
    const there = this.#shell.engine.state.pools.get(pool);
    return there === undefined || there.removed ? { ok: false, reason: "not_found", message: `This workshop has no pool ${pool}.` } : null;
  }

  #unscalable(pool: string): Refusal | null {
    const unknown = this.#unknown(pool);
    if (unknown) return unknown;
    const provider = this.#shell.poolSetup(pool)?.provider ?? "pull";
    return provider === "verda" || provider === "runpod" || provider === "modal" ? null : { ok: false, reason: "bad_request", message: `Pool ${pool} (${provider}) has no machines that could be kept up: its runners are there or they are not.` };
  }
}

function machinesOf({ replicas, ...said }: Said): PoolView["machines"] {
  return { ...said, by_state: replicas };
}
