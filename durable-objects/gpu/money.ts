// What the room costs per hour now and how long the money lasts. Pure; micro-units, ms.
export type Spending = {
  budget: number | null;
  spent: number;
  /** Set aside for accepted jobs [Q16]. */
  reserved: number;
  /** Rates of the machines that run a job now. */
  busy: readonly number[];
  /** Machines that are up without a job, with their rate. */
  idle: readonly { machines: number; rate: number }[];
};
export type Money = {
  budget: number | null;
  spent: number;
  reserved: number;
  /** Left for new jobs; null without a budget. */
  left: number | null;
  burn_per_hour: number;
  /** When the budget is spent at this pace, ms since the epoch; null: not at this pace, or no budget. */
  lasts_until: number | null;
  says: string;
};

export function moneyOf({ budget, spent, reserved, busy, idle }: Spending, now: number): Money {
  const burn = busy.reduce((sum, rate) => sum + rate, 0) + idle.reduce((sum, { machines, rate }) => sum + machines * rate, 0);
  const left = budget === null ? null : Math.max(0, budget - spent - reserved);
  const runsOut = budget === null || burn === 0 ? null : now + Math.round((Math.max(0, budget - spent) / burn) * 3_600_000);
  return { budget, spent, reserved, left, burn_per_hour: burn, lasts_until: runsOut, says: sentence({ budget, spent, left, burn, runsOut }, now) };
}

function sentence({ budget, spent, left, burn, runsOut }: { budget: number | null; spent: number; left: number | null; burn: number; runsOut: number | null }, now: number): string {
  const eur = (micro: number): string => `${(micro / 1_000_000).toFixed(2)} EUR`;
  const pace = burn === 0 ? "nothing costs money right now" : `${eur(burn)} per hour at this pace`;
  if (budget === null || left === null) return `${eur(spent)} spent, no budget set; ${pace}.`;
  if (left === 0) return `The budget of ${eur(budget)} is used up or set aside: running jobs finish, new ones wait for more money; ${pace}.`;
  const lasts = runsOut === null ? "" : `; it lasts ${duration(runsOut - now)}`;
  return `${eur(spent)} of ${eur(budget)} spent, ${eur(left)} free for new jobs; ${pace}${lasts}.`;
}

function duration(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
