// A submit at the door, as the queue's command: facts only, no prompt text [Q5].
import type { Submit } from "./contract.ts";
import type { Command, Known } from "./queue/index.ts";

/** `key` is the idempotency key in force; `end` what the store knows of an ended job under that key or id [Q14]. */
export function submitCommand(submit: Submit, instructor: boolean, key: string | null, end: Known | undefined): Command & { type: "submit" } {
  const known = end === undefined ? undefined : { ...(end.key !== null && end.key === key && end.seat === submit.seat ? { byKey: end } : {}), ...(end.id === submit.job ? { byId: end } : {}) };
  return {
    type: "submit",
    id: submit.job,
    seat: submit.seat,
    instructor,
    background: submit.background,
    front: submit.front,
    userPriority: 0,
    class: 2,
    signature: submit.model_signature,
    timing: submit.timing_signature,
    kind: submit.output_kind,
    requires: [...submit.requires.nodes.map((node) => `n:${node}`), ...submit.requires.models.map((model) => `m:${model}`)].sort(),
    bytes: submit.bytes,
    idempotency: key === null ? null : { key, hash: submit.body_hash },
    ...(known === undefined ? {} : { known }),
  };
}
