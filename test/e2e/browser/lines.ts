// Bad lines: the connection is cut in the middle of a run and comes back. The page must end up right without a reload.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sleepGraph } from "../support/seat-client.ts";
import { endlessGraph, isIdle, showsProgress } from "./running.ts";
import type { Stage } from "./stage.ts";
import { type Cable, layCable } from "./support/cable.ts";
import type { SeatPage } from "./support/seat-page.ts";

export function lines(stage: Stage): void {
  describe("a line that is cut in the middle of a run", () => {
    let cable: Cable;
    let seat: SeatPage;
    let number = 0;
    beforeAll(async () => {
      cable = await layCable(stage.room.origin);
      number = stage.newSeat();
      seat = await stage.tab(await stage.person(), number, cable.origin);
      await seat.signIn();
    });
    afterAll(async () => {
      await seat.page.context().close();
      await cable.close();
    });

    /** Pulls the cable and waits until the page has noticed; requests that fail meanwhile are what a cut line is. */
    async function pull(): Promise<void> {
      cable.pull();
      await seat.until("the page to notice", () => window.app.api.socket?.readyState !== 1);
    }
    async function plug(): Promise<void> {
      cable.plug();
      await seat.until("the page to reconnect", () => window.app.api.socket?.readyState === 1);
      await seat.quiet();
      seat.tolerate(/net::ERR_|WebSocket|Failed to fetch|Network Error|AxiosError/);
    }

    test("the run ended meanwhile: picture and title are right, without a reload", async () => {
      await seat.load(sleepGraph(3, 0x00ff00), "cut");
      await seat.run();
      await seat.title(/\d%\]/);
      await pull();
      const client = stage.room.client(number);
      const { queue_running } = await client.json<{ queue_running: [number, string][] }>("/queue");
      await client.ended(queue_running[0]![1]);
      await plug();
      expect(await seat.picture("SaveImage")).toContain("slept_00001_.png");
      await isIdle(seat);
    });

    test("the run still goes on: progress goes on too, and Cancel works", async () => {
      await seat.load(endlessGraph(), "cut while running");
      await seat.run();
      await showsProgress(seat);
      await pull();
      await plug();
      const before = (await seat.node("SandboxSleep")).progress ?? 0;
      await seat.until("progress to go on", (from) => (window.app.graph.nodes.find((node) => node.type === "SandboxSleep")?.progress ?? 0) > from, before);
      await seat.title(/\d%\]/);
      await seat.cancelButton().click();
      await isIdle(seat);
    });
  });
}
