// Who may do what: one pure table, default deny. Identity (which seat, which workshop) is settled before; this decides by role alone.

export type Principal = "anonymous" | "participant" | "instructor" | "runner" | "attempt" | "operator";

export type Action =
  /** Landing and login pages, coarse health. */
  | "site.read"
  /** Everything below one's own seat: prompts, files, settings, socket, the stock frontend. */
  | "seat.use"
  /** The instructor's page and its data. */
  | "dashboard.read"
  /** Change the queue, the jobs and the seats of the workshop; speak to the room. */
  | "dashboard.steer"
  /** Ask for work, report a catalog. */
  | "pool.serve"
  /** Events, uploads, result of one attempt. */
  | "attempt.serve"
  /** Create workshops, seats, pools, tokens. */
  | "ops.command";

const TABLE: Record<Principal, readonly Action[]> = {
  anonymous: ["site.read"],
  participant: ["site.read", "seat.use"],
  instructor: ["site.read", "seat.use", "dashboard.read", "dashboard.steer"],
  runner: ["site.read", "pool.serve"],
  attempt: ["site.read", "attempt.serve"],
  operator: ["site.read", "ops.command"],
};

export function may(who: Principal, action: Action): boolean {
  return TABLE[who].includes(action);
}
