// How a run says it is over [Q10][Q53]: first terminal write wins, a repeat is `already`, anything from an old lease is `stale`.

import { isLoss, leasedAttempt } from "./attempts.ts";
import type { Known, Refusal, ResultCommand, Results } from "./commands.ts";
import { endStopped, failAttempt, succeed } from "./ending.ts";
import { clearStrikes, strike } from "./runners.ts";
import type { Attempt } from "./types.ts";
import { answer, assertNever, refuse, type Answer, type Work } from "./work.ts";

export function result(work: Work, command: ResultCommand): Answer<Results["result"]> {
  const { state } = work;
  if (!state.jobs.has(command.job)) return late(command, command.known ?? work.ended.get(command.job));
  const held = leasedAttempt(state, command);
  if ("ok" in held) return held;
  const { job, attempt } = held;
  const stopping = job.state === "stopping";
  const invalid = stopping ? null : unproven(command);
  if (invalid !== null) return invalid;
  judgeRunner(work, attempt, command);
  if (stopping) {
    endStopped(work, attempt, command.timings, command.digest);
    return answer({ answer: "accepted", state: "cancelled" });
  }
  conclude(work, attempt, command);
  if (state.jobs.has(command.job)) return answer({ answer: "accepted", state: "waiting" });
  return answer({ answer: "accepted", state: command.outcome === "succeeded" ? "succeeded" : "failed" });
}

/** The job has ended: by this very result, by another one of the same lease, or otherwise. */
function late(command: ResultCommand, known: Known | undefined): Answer<Results["result"]> {
  if (known?.lease !== command.lease) return refuse("stale", "The job has ended or runs under another lease; this result changes nothing.", { job: command.job });
  if (known.digest === command.digest) return answer({ answer: "already", state: known.state });
  return refuse("conflict", "The job has ended already with another result; the first one counts.", { job: command.job, state: known.state });
}

function unproven(command: ResultCommand): Refusal | null {
  if (command.outcome === "succeeded" && !command.filesCommitted) {
    return refuse("files_uncommitted", "The run reported files that are not stored yet. Commit them, then send the result again.", { job: command.job });
  }
  if (command.outcome === "failed" && (command.reason.code === "" || command.reason.message === "")) {
    return refuse("reason_missing", "A failed run must say why: a code and a message.", { job: command.job });
  }
  return null;
}

/** [Q52] Crashes in a row keep a runner away; any other end clears it. */
function judgeRunner(work: Work, attempt: Attempt, command: ResultCommand): void {
  const runner = attempt.lease?.runner;
  if (runner === undefined) return;
  if (command.outcome === "failed" && command.reason.code === "comfy_crash") strike(work, runner, "ComfyUI crashed on it twice in a row");
  else clearStrikes(work, runner);
  const slot = work.state.slots.get(attempt.slot);
  if (slot !== undefined) slot.seenAt = work.now;
}

function conclude(work: Work, attempt: Attempt, command: ResultCommand): void {
  const extra = { digest: command.digest, ...(command.timings === undefined ? {} : { timings: command.timings }) };
  switch (command.outcome) {
    case "succeeded":
      return succeed(work, attempt, command.timings, command.digest);
    case "failed":
      return failAttempt(work, attempt, isLoss(command.reason.code) ? "lost" : "failed", command.reason, extra);
    case "cancelled":
      return failAttempt(work, attempt, "lost", { code: "container_lost", message: "the GPU stopped the run although nobody had asked for it" }, extra);
    default:
      return assertNever(command);
  }
}
