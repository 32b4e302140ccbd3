// The core's refusals in the words of the object's door: same reasons, one sentence, the numbers behind it.
import type { Refusal, RefusalReason } from "./contract.ts";
import { writtenName } from "./param-names.ts";
import type { Refusal as CoreRefusal } from "./queue/index.ts";

function reasonOf(reason: CoreRefusal["reason"]): RefusalReason {
  switch (reason) {
    case "files_uncommitted":
      return "conflict";
    case "reason_missing":
    case "invalid_value":
      return "bad_request";
    default:
      return reason;
  }
}

export function refused(given: CoreRefusal, retryAfterS?: number): Refusal {
  const refusal = named(given);
  const { limit, current } = refusal.numbers;
  return {
    ok: false,
    reason: reasonOf(refusal.reason),
    message: refusal.message,
    ...(retryAfterS === undefined ? {} : { retry_after_s: retryAfterS }),
    ...(typeof limit === "number" ? { limit } : {}),
    ...(typeof current === "number" ? { current } : {}),
    details: { ...refusal.numbers },
  };
}

/** A parameter by the name it is set with, never by the core's own. */
function named(refusal: CoreRefusal): CoreRefusal {
  const { parameter } = refusal.numbers;
  if (typeof parameter !== "string") return refusal;
  const name = writtenName(parameter);
  return { ...refusal, message: refusal.message.replace(`"${parameter}"`, `"${name}"`), numbers: { ...refusal.numbers, parameter: name } };
}
