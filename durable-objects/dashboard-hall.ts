// Dashboards at the socket: an overview on arrival, afterwards the sections that changed, at most once a beat [Q76][CF14].
// Invariant: every frame carries the revision it shows; whoever has seen revision R needs only frames whose `from` is not after R.
import type { DashboardFrame, Overview } from "./instructor-contract.ts";
import { type DashboardSocket, send, type Sockets } from "./sockets.ts";

/** Sections that may change without a revision: who is here, and what the clock does to times. */
const UNCOUNTED: ReadonlySet<keyof Overview> = new Set(["jobs", "seats", "room"]);
type Sections = Map<keyof Overview, string>;

export class DashboardHall {
  readonly #sockets: Sockets;
  readonly #view: () => Overview;
  readonly #revision: () => number;
  readonly #now: () => number;
  /** What the dashboards have been told last, section by section; empty after hibernation: then everything is told once more. */
  #told: Sections = new Map();
  #at = 0;

  constructor(parts: { sockets: Sockets; view: () => Overview; revision: () => number; now: () => number }) {
    this.#sockets = parts.sockets;
    this.#view = parts.view;
    this.#revision = parts.revision;
    this.#now = parts.now;
  }

  /** `since` is the revision the page has seen, or null. When nothing moved since, it hears only what no revision counts. */
  enter(socket: WebSocket, since: number | null): void {
    this.#sockets.accept<DashboardSocket>(socket, (order) => ({ kind: "dashboard", order }));
    const sections = this.#sections();
    if (since !== null && since === this.#revision()) send(socket, this.#frame("changes", since, [...sections].filter(([name]) => UNCOUNTED.has(name))));
    else send(socket, this.#frame("overview", null, [...sections]));
    if (this.#told.size === 0) this.#remember(sections);
  }

  /** One beat: the same text for every dashboard, made once. */
  beat(): void {
    const dashboards = this.#sockets.dashboards();
    if (dashboards.length === 0) {
      this.#told.clear();
      return;
    }
    const sections = this.#sections();
    const changed = [...sections].filter(([name, text]) => this.#told.get(name) !== text);
    if (changed.length === 0 && this.#at === this.#revision()) return;
    const text = this.#told.size === 0 ? this.#frame("overview", null, [...sections]) : this.#frame("changes", this.#at, changed);
    this.#remember(sections);
    for (const socket of dashboards) send(socket, text);
  }

  #sections(): Sections {
    return new Map(Object.entries(this.#view()).map(([name, value]) => [name as keyof Overview, JSON.stringify(value)]));
  }

  #remember(sections: Sections): void {
    this.#told = sections;
    this.#at = this.#revision();
  }

  #frame(type: DashboardFrame["type"], from: number | null, sections: [string, string][]): string {
    const overview = sections.map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(",");
    return `{"type":"${type}","revision":${this.#revision()},${from === null ? "" : `"from":${from},`}"at":${this.#now()},"overview":{${overview}}}`;
  }
}
