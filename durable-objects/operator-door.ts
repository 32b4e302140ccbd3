// What operators and sign-in ask of a workshop: seats, passwords' hashes, pools, health.
import type * as door from "./contract.ts";
import { endedCount } from "./job-store.ts";
import { writeBase } from "./log-store.ts";
import { poolConfig } from "./pool-setup.ts";
import { refused } from "./refusals.ts";
import { runnerLines } from "./runner-lines.ts";
import { putSeats, seatIdentity, seatList } from "./seat-store.ts";
import type { Shell } from "./shell.ts";

export class OperatorDoor {
  readonly #shell: Shell;

  constructor(shell: Shell) {
    this.#shell = shell;
  }

  create(setup: door.WorkshopSetup): door.Answer<{ created: boolean }> {
    if (this.#shell.meta("workshop") !== null) return { ok: true, created: false };
    this.#shell.sql.transaction(() => {
      this.#shell.setMeta("workshop", setup.workshop);
      this.#shell.setMeta("title", setup.title);
      if (setup.origin !== undefined) this.#shell.setMeta("origin", setup.origin);
      putSeats(this.#shell.sql, setup.seats);
    });
    // Before the first command: whatever was decided since can be replayed from here.
    writeBase(this.#shell.sql, this.#shell.engine.state, this.#shell.engine.revision, this.#shell.engine.now());
    const { seat_max, queue_max, seat_floor } = setup.limits ?? {};
    const params = { ...(seat_max === undefined ? {} : { seatMax: seat_max }), ...(queue_max === undefined ? {} : { queueMax: queue_max }), ...(seat_floor === undefined ? {} : { seatFloor: seat_floor }) };
    if (Object.keys(params).length > 0) this.#shell.run<"set_params">({ type: "set_params", params, by: "operator" });
    if (setup.slots !== undefined) {
      this.#shell.setMeta("slots", String(setup.slots));
      this.#shell.run<"set_wanted">({ type: "set_wanted", slots: setup.slots, by: "operator" });
    }
    for (const pool of setup.pools) this.putPool(pool);
    return { ok: true, created: true };
  }

  putSeats(seats: door.SeatCredential[]): door.Answer<{ added: string[]; changed: string[] }> {
    this.#shell.roles.clear();
    return this.#shell.missing() ?? { ok: true, ...this.#shell.sql.transaction(() => putSeats(this.#shell.sql, seats)) };
  }

  putPool(pool: door.PoolSetup, origin?: string): door.Answer<object> {
    const missing = this.#shell.missing();
    if (missing) return missing;
    if (origin !== undefined) this.#shell.setMeta("origin", origin);
    const before = this.#shell.poolSetup(pool.id);
    if (before !== null && (before.provider !== pool.provider || before.endpoint !== pool.endpoint)) this.#shell.gpus.letGo(pool.id);
    this.#shell.setMeta(`pool:${pool.id}`, JSON.stringify(pool));
    const decision = this.#shell.run<"upsert_pool">({ type: "upsert_pool", pool: poolConfig(pool, this.#shell.engine.state.pools.get(pool.id), this.#shell.engine.state.pools.size) });
    if (!decision.ok) return refused(decision);
    const wanted = [...this.#shell.engine.state.pools.keys()].reduce((sum, id) => sum + (this.#shell.poolSetup(id)?.max_in_flight ?? 0), 0);
    if (this.#shell.meta("slots") === null && this.#shell.engine.state.workshop.wanted < wanted) this.#shell.run<"set_wanted">({ type: "set_wanted", slots: wanted, by: "operator" });
    this.#shell.runners.count(pool.id);
    this.#shell.ctx.waitUntil(this.#shell.gpus.keeper.askPrice(pool.id).catch((error: unknown) => this.#shell.complain("price_failed", error)));
    this.#shell.rearm();
    return { ok: true };
  }

  poolKey(pool: string, shared?: string): door.Answer<{ key: string }> {
    return this.#shell.missing() ?? { ok: true, key: this.#shell.desk.key(pool, shared) };
  }

  seatIds(): door.Answer<{ title: string; seats: { seat: string; role: door.Role }[] }> {
    return this.#shell.missing() ?? { ok: true, title: this.#shell.meta("title") ?? "", seats: seatList(this.#shell.sql) };
  }

  identity(seat: string): door.Answer<{ identity: door.SeatIdentity }> {
    const identity = seatIdentity(this.#shell.sql, seat);
    return identity ? { ok: true, identity } : (this.#shell.missing() ?? { ok: false, reason: "no_such_seat", message: `There is no seat ${seat} in this workshop.` });
  }

  health(): door.Answer<{ health: door.Health }> {
    const missing = this.#shell.missing();
    if (missing) return missing;
    const { workshop, jobs, attempts } = this.#shell.engine.state;
    return {
      ok: true,
      health: {
        workshop: this.#shell.meta("workshop") ?? "",
        revision: this.#shell.engine.revision,
        mode: workshop.mode,
        switches: workshop.switch,
        jobs: { waiting: jobs.size - attempts.size, live: attempts.size, ended: endedCount(this.#shell.sql) },
        runners: runnerLines(this.#shell.sockets.runners()),
        seats: seatList(this.#shell.sql).length,
        sockets: this.#shell.sockets.count(),
      },
    };
  }
}
