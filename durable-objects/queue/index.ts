// The door of the queue core. Everything outside imports from here and from nowhere deeper.
// The core is pure [Q1]: it imports nothing, reads no clock, draws no random number and makes no id.
//
// How the shell uses it:
//   const state = restore(rows)                       // once, in the object's constructor
//   const decision = decide(state, command, now)      // mutates `state` in place; a refusal leaves it as it was (see Decision)
//   sql.transactionSync(() => { write(decision.changes); log(command, now); record events that end jobs and attempts })
//   then frames from decision.events, then decision.effects; outcomes of effects come back as commands
//   alarm := nextWake(state, now)                     // the alarm's handler is decide(state, { type: "tick" }, now)
//   effectsDue(state)                                 // after a restart: what was committed but may never have been sent
//   forecast(state, now)                              // at most once a second; places and ETA bands
// If writing fails, throw the state away and restore again: nothing outside has happened yet.

export type * from "./types.ts";
export type * from "./commands.ts";
export type * from "./decision.ts";
export { decide } from "./decide.ts";
export { defaultParams, defaultPool, emptyRows } from "./params.ts";
export { restore, rowsOf, attemptKey, slotKey } from "./state.ts";
export { effectsDue } from "./effects-due.ts";
export { nextWake } from "./wake.ts";
export { forecast, retryAfterSeconds } from "./forecast.ts";
export { loadTiming, timingSignature } from "./estimate.ts";
export { addChanges, hasChanges } from "./changes.ts";
