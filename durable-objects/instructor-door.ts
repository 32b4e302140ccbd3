// What the instructor asks of a workshop: acts, their undo, jobs and their stories, the audit. Every act is a command of the queue or a notice,
// answers what it did in words, leaves an audit row [Q69], and stands behind a ten-second offer to take it back where that is possible.
import type { Entry } from "./audit-store.ts";
import type { Answer } from "./contract.ts";
import type * as door from "./instructor-contract.ts";
import { findJob, searchJobs } from "./job-search.ts";
import { planOf, type Plan, type Sight } from "./instructions.ts";
import { entriesOf } from "./log-store.ts";
import { addNotice, noticeFrame, withdrawNotice } from "./notices.ts";
import type { CommandType } from "./queue/index.ts";
import { refused } from "./refusals.ts";
import { knownEnd } from "./runner-desk.ts";
import { seatIdentity } from "./seat-store.ts";
import type { Shell } from "./shell.ts";
import { inverse, remember, standing, type Subject } from "./subjects.ts";
import { timelineOf } from "./timeline.ts";
import { addOffer, findOffer, type Found, UNDO_MS, useOffer } from "./undo-store.ts";
import { advised } from "./words.ts";

type Standing = { is: unknown; memory: unknown };

export class InstructorDoor {
  readonly #shell: Shell;

  constructor(shell: Shell) {
    this.#shell = shell;
  }

  /** Carries out one act of `by`. A refusal has changed nothing and says what to do. */
  instruct(by: string, act: door.Instruction): Answer<{ done: door.Done }> {
    const missing = this.#shell.missing();
    if (missing) return missing;
    if (act.do === "announce") return this.#announce(by, act);
    if (act.do === "withdraw") return this.#withdraw(by, act.notice);
    const plan = planOf(act, this.#sight(by));
    return plan.ok ? this.#carryOut(by, plan) : advised(plan);
  }

  /** Takes an act back, while the offer stands and what it changed still stands as it left it. */
  undo(by: string, id: string): Answer<{ done: door.Done }> {
    const { sql, engine } = this.#shell;
    const found = findOffer(sql, id, engine.now());
    if (found.state !== "open") return { ok: false, ...NO_UNDO[found.state] };
    const { subject, before, after, does } = found.offer;
    if (subject.of === "notice") return this.#takeDown(by, id, subject.notice);
    const was = before as Standing;
    if (JSON.stringify(standing(engine.state, subject)) !== JSON.stringify(after)) return changedSince();
    const command = inverse(engine.state, subject, was.is, was.memory, by, engine.now());
    if (command === null) return changedSince();
    const decision = this.#shell.room.audit.taking(id, () =>
      this.#shell.run<CommandType>(command, (made) => {
        if (!made.ok) return;
        useOffer(sql, id);
        this.#shell.room.audit.undone(id);
        if (subject.of === "job" && subject.what === "priority") this.#record({ by, what: "priority", target: subject.job, previous: after, value: was.is });
      }),
    );
    if (!decision.ok) return advised(refused(decision));
    this.#shell.room.places.expire();
    return { ok: true, done: this.#done(`Taken back: it ${does}.`, null, "Do it again if it is wanted after all.", {}) };
  }

  #takeDown(by: string, id: string, notice: number): Answer<{ done: door.Done }> {
    const answer = this.#shell.room.audit.taking(id, () => this.#withdraw(by, notice));
    if (answer.ok) {
      useOffer(this.#shell.sql, id);
      this.#shell.room.audit.undone(id);
    }
    return answer;
  }

  #carryOut(by: string, plan: Plan): Answer<{ done: door.Done }> {
    const { state } = this.#shell.engine;
    const subject = "subject" in plan.undo ? plan.undo.subject : null;
    const before: Standing | null = subject === null ? null : { is: standing(state, subject), memory: remember(state, subject) };
    const newest = this.#shell.room.audit.last();
    const decision = this.#shell.run<CommandType>(plan.command, (made) => {
      if (made.ok && plan.audit) this.#record({ by, ...plan.audit });
    });
    if (!decision.ok) return advised(refused(decision));
    this.#shell.room.places.expire();
    const result = typeof decision.result === "object" && decision.result !== null ? { ...decision.result } : {};
    if ("answer" in result && result.answer === "not_found") return advised({ ok: false, reason: "not_found", message: "There is no such job." });
    const says = plan.says(decision.result);
    if (!("subject" in plan.undo) || before === null) return { ok: true, done: this.#done(says, null, "final" in plan.undo ? plan.undo.final : null, result) };
    const after = standing(this.#shell.engine.state, plan.undo.subject);
    if (JSON.stringify(after) === JSON.stringify(before.is)) return { ok: true, done: this.#done(`${says} It was so already.`, null, "Nothing was changed, so there is nothing to take back.", result) };
    return { ok: true, done: this.#done(says, this.#offer(plan.undo.subject, plan.undo.does, before, after, newest), null, result) };
  }

  #offer(subject: Subject, does: string, before: unknown, after: unknown, newest: number): door.Done["undo"] {
    const { sql, engine, room: { audit } } = this.#shell;
    const offer = { id: `u_${crypto.randomUUID()}`, until: engine.now() + UNDO_MS, does, subject, before, after: after ?? null };
    sql.transaction(() => {
      addOffer(sql, offer, engine.now());
      audit.offer(offer.id, newest);
    });
    return { id: offer.id, until: offer.until, does };
  }

  #announce(by: string, act: door.Instruction & { do: "announce" }): Answer<{ done: door.Done }> {
    const { sql, engine } = this.#shell;
    if (act.seat !== null && !seatIdentity(sql, act.seat)) return advised({ ok: false, reason: "no_such_seat", message: `There is no seat ${act.seat} in this workshop.` });
    const newest = this.#shell.room.audit.last();
    const now = engine.now();
    const notice = sql.transaction(() => {
      const added = addNotice(sql, { text: act.text, level: act.level, seat: act.seat, until: now + act.for_ms, by, now });
      this.#shell.room.audit.add({ by, what: "announce", target: act.seat, previous: null, value: act.text }, engine.revision, now);
      return added;
    });
    this.#shell.room.extras.tell(act.seat, noticeFrame(notice));
    this.#shell.room.touch();
    const undo = this.#offer({ of: "notice", notice: notice.id }, "takes the notice down", null, true, newest);
    return { ok: true, done: this.#done(`Told ${act.seat ?? "every seat"}: “${act.text}”`, undo, null, { notice }) };
  }

  #withdraw(by: string, id: number): Answer<{ done: door.Done }> {
    const { sql, engine } = this.#shell;
    const now = engine.now();
    const notice = sql.transaction(() => {
      const gone = withdrawNotice(sql, id, now);
      if (gone) this.#shell.room.audit.add({ by, what: "withdraw", target: gone.seat, previous: gone.text, value: null }, engine.revision, now);
      return gone;
    });
    if (notice === null) return advised({ ok: false, reason: "not_found", message: "There is no such notice, or its time is over." });
    this.#shell.room.extras.tell(notice.seat, noticeFrame(notice, true));
    this.#shell.room.touch();
    return { ok: true, done: this.#done("The notice was taken down.", null, "Announce it again if it is wanted after all.", {}) };
  }

  // ---- views ---------------------------------------------------------------------------------------------------------------------------
  searchJobs(search: door.JobSearch): Answer<{ page: door.JobPage }> {
    const { sql, engine, room: { places } } = this.#shell;
    return this.#shell.missing() ?? { ok: true, page: { revision: engine.revision, ...searchJobs(sql, engine.state, places.forecasts(), search) } };
  }

  jobStory(id: string): Answer<{ story: door.JobStory }> {
    const { sql, engine, room: { places } } = this.#shell;
    const job = findJob(sql, engine.state, places.forecasts(), id);
    if (job === null) return this.#shell.missing() ?? { ok: false, reason: "not_found", message: `There is no job ${id.slice(0, 60)} in this workshop.` };
    const { entries, complete } = entriesOf(sql, id, job.created, job.ended ?? engine.now());
    const quoted = engine.state.jobs.get(id)?.quoted ?? quotedIn(id, entries);
    return { ok: true, story: { revision: engine.revision, job, quoted: quoted === null ? null : { from: quoted.start50, to: quoted.start90 }, timeline: timelineOf(id, entries), complete } };
  }

  overview(): Answer<{ revision: number; at: number; overview: door.Overview }> {
    return this.#shell.missing() ?? { ok: true, revision: this.#shell.engine.revision, at: this.#shell.engine.now(), overview: this.#shell.room.overview() };
  }

  audit(search: door.AuditSearch): Answer<{ rows: door.AuditRow[]; next: number | null }> {
    return this.#shell.missing() ?? { ok: true, ...this.#shell.room.audit.page(search) };
  }

  #sight(by: string): Sight {
    const { sql, engine } = this.#shell;
    return { state: engine.state, by, workshop: this.#shell.meta("workshop") ?? "", known: (job) => (engine.state.jobs.has(job) ? undefined : knownEnd(sql, job)), isSeat: (seat) => seatIdentity(sql, seat) !== null };
  }

  /** An audit row of a command that leaves none; inside its transaction, so with the revision it is about to get. */
  #record(entry: Entry): void {
    this.#shell.room.audit.add(entry, this.#shell.engine.revision + 1, this.#shell.engine.now());
  }

  #done(did: string, undo: door.Done["undo"], final: string | null, result: Record<string, unknown>): door.Done {
    return { did, revision: this.#shell.engine.revision, at: this.#shell.engine.now(), undo, final, result };
  }
}

function quotedIn(job: string, entries: ReturnType<typeof entriesOf>["entries"]): { start50: number; start90: number } | null {
  for (const { command } of entries) {
    const quote = command.type === "quote" ? command.quotes.find((one) => one.job === job) : undefined;
    if (quote) return quote;
  }
  return null;
}

const NO_UNDO: { [state in Exclude<Found["state"], "open">]: { reason: "not_found" | "conflict" | "gone"; message: string } } = {
  unknown: { reason: "not_found", message: "There is nothing to take back under this id. Use the id that came with the act's answer." },
  used: { reason: "conflict", message: "This has been taken back already. Nothing more was changed; do the act again if it is wanted after all." },
  expired: { reason: "gone", message: "The ten seconds are over, and the act stands. To change it, do the opposite." },
};

function changedSince(): Answer<never> {
  return { ok: false, reason: "conflict", message: "This was changed again since, so taking it back would undo the newer change. Nothing was done; look at how it stands now and set it as you want it." };
}

