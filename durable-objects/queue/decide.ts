// decide(state, command, now): the one way the queue changes [Q1][Q4]. Decay, timers, the command, the slot plan, the dispatch loop.

import { submit } from "./admission.ts";
import { claim, handedOver, phase, providerStatus, renew, runnerLost, runnerSeen, started } from "./attempts.ts";
import { cancel, clear, deleteJobs, evict, interrupt } from "./cancel.ts";
import { hasChanges } from "./changes.ts";
import type { BatchAnswer, Command, CommandOf } from "./commands.ts";
import type { Decision } from "./decision.ts";
import { dispatchLoop } from "./dispatch.ts";
import { decay, refresh } from "./fairness.ts";
import { bump, move, setClass, setDemo, setPriority, unbump } from "./lane.ts";
import { makePlan } from "./plan.ts";
import { drainPool, removePool, setMaxInFlight, setOffers, setWanted, upsertPool } from "./pools.ts";
import { result } from "./result.ts";
import { endDrain, pauseSeat, quote, recordSpend, rehearse, setBudget, setEnvelope, setGroup, setMode, setParams, setSwitch, setWeight, startRound } from "./settings.ts";
import { runTimers } from "./timers.ts";
import type { QueueState } from "./types.ts";
import { answer, assertNever, beginWork, type Answer, type Work } from "./work.ts";

/**
 * Decide one command at `now` (ms since the epoch). Ownership of `state` passes in: it is changed in place, a refused command excepted.
 * The answer's `events`, `effects` and `changes` leave only after the commit [Q6]. Never throws for input; a throw is a broken invariant.
 */
export function decide<C extends Command>(state: QueueState, command: C, now: number): Decision<C["type"]> {
  const work = beginWork(state, now);
  decay(work);
  refresh(work);
  runTimers(work);
  const outcome = handle(work, command);
  if (outcome.ok || hasChanges(work.changes)) settleDown(work);
  const { events, effects, changes } = work;
  return { ...outcome, events, effects, changes } as Decision<C["type"]>;
}

/** The slot plan and the dispatch loop, and whatever ends by itself. */
function settleDown(work: Work): void {
  refresh(work);
  makePlan(work);
  refresh(work);
  dispatchLoop(work);
  endDrain(work);
}

/** Accept or refuse; a refusal has changed nothing. */
function handle(work: Work, command: Command): Answer<unknown> {
  switch (command.type) {
    case "submit": return submit(work, command);
    case "cancel": return cancel(work, command);
    case "clear": return clear(work, command);
    case "delete": return deleteJobs(work, command);
    case "interrupt": return interrupt(work, command);
    case "move": return move(work, command);
    case "set_priority": return setPriority(work, command);
    case "set_class": return setClass(work, command);
    case "bump": return bump(work, command);
    case "unbump": return unbump(work, command);
    case "evict": return evict(work, command);
    case "handed_over": return handedOver(work, command);
    case "provider_status": return providerStatus(work, command);
    case "claim": return claim(work, command);
    case "renew": return renew(work, command);
    case "started": return started(work, command);
    case "phase": return phase(work, command);
    case "result": return result(work, command);
    case "runner_seen": return runnerSeen(work, command);
    case "runner_lost": return runnerLost(work, command);
    case "tick": return answer(null);
    case "set_mode": return setMode(work, command);
    case "set_params": return setParams(work, command);
    case "set_weight": return setWeight(work, command);
    case "pause_seat": return pauseSeat(work, command.seat, true, command.by);
    case "resume_seat": return pauseSeat(work, command.seat, false, command.by);
    case "set_group": return setGroup(work, command);
    case "set_envelope": return setEnvelope(work, command);
    case "set_switch": return setSwitch(work, command);
    case "upsert_pool": return upsertPool(work, command);
    case "remove_pool": return removePool(work, command);
    case "drain_pool": return drainPool(work, command);
    case "set_max_in_flight": return setMaxInFlight(work, command);
    case "set_offers": return setOffers(work, command);
    case "set_wanted": return setWanted(work, command);
    case "set_demo": return setDemo(work, command);
    case "new_round": return startRound(work, command);
    case "set_budget": return setBudget(work, command);
    case "record_spend": return recordSpend(work, command);
    case "record_runs": return rehearse(work, command);
    case "quote": return quote(work, command);
    case "batch": return answer(batch(work, command.commands));
    default: return assertNever(command);
  }
}

function batch(work: Work, commands: CommandOf<"batch">["commands"]): BatchAnswer[] {
  return commands.map((command) => {
    const outcome = handle(work, command);
    refresh(work);
    return outcome;
  });
}
