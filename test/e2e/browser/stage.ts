// The stage of the browser suite: one room on one frontend, one Chromium, and a fresh browser for every person who asks for one.
import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, afterEach, beforeAll } from "vitest";
import { openRoom, type Room } from "../support/room.ts";
import { launchChromium } from "./support/chromium.ts";
import { SeatPage } from "./support/seat-page.ts";

const SIZE = { width: 1400, height: 900 };

export class Stage {
  readonly version: string;
  #room: Room | null = null;
  #browser: Browser | null = null;
  readonly #pages: SeatPage[] = [];
  #nextSeat = 1;

  constructor(version: string) {
    this.version = version;
    beforeAll(async () => {
      [this.#room, this.#browser] = await Promise.all([openRoom({ seats: 20, vars: { FRONTEND: version } }), launchChromium()]);
    });
    afterEach(() => {
      for (const page of this.#pages) page.wasWell();
    });
    afterAll(async () => {
      await this.#browser?.close();
      await this.#room?.end();
    });
  }

  /** 1.37 reads `/queue` and `/history` and shows errors in a dialog; later ones read `/jobs` and show a card with details. */
  get older(): boolean {
    return this.version.startsWith("1.37.");
  }

  get room(): Room {
    if (this.#room === null) throw new Error("the room is not open");
    return this.#room;
  }

  /** A person's own browser: no cookies, nothing stored. */
  async person(): Promise<BrowserContext> {
    if (this.#browser === null) throw new Error("there is no browser");
    return await this.#browser.newContext({ viewport: SIZE });
  }

  /** The number of a seat nobody has used yet. */
  newSeat(): number {
    return this.#nextSeat++;
  }

  /** A tab at this seat, not signed in yet. */
  async tab(context: BrowserContext, seat: number, origin?: string): Promise<SeatPage> {
    const page = await SeatPage.open(context, this.room.access.seats[seat - 1]!, origin);
    this.#pages.push(page);
    return page;
  }

  /** A new person at a new seat, signed in. */
  async seated(seat = this.newSeat()): Promise<SeatPage> {
    const page = await this.tab(await this.person(), seat);
    await page.signIn();
    return page;
  }

  /** The person goes, and their browser with them. */
  async leave(page: SeatPage): Promise<void> {
    await this.closeTab(page);
    await page.page.context().close();
  }

  async closeTab(page: SeatPage): Promise<void> {
    await page.quiet();
    this.#pages.splice(this.#pages.indexOf(page), 1);
    page.wasWell();
    await page.page.close();
  }
}
