// Two seats side by side in one browser: same cookies jar, same storage, and nothing of each other.
import { describe, expect, test } from "vitest";
import { colourGraph } from "../support/seat-client.ts";
import { isIdle } from "./running.ts";
import type { Stage } from "./stage.ts";

export function together(stage: Stage): void {
  describe("two seats in one browser", () => {
    test("both run at once, each with its own picture, history and queue, and unsaved work of one never opens at the other", async () => {
      const person = await stage.person();
      const numbers = [stage.newSeat(), stage.newSeat()] as const;
      const ada = await stage.tab(person, numbers[0]);
      await ada.signIn();
      await ada.load(colourGraph(0xff0000, "ada-only"), "ada-draft");
      const ben = await stage.tab(person, numbers[1]);
      await ben.signIn();
      await ben.load(colourGraph(0x0000ff, "ben-only"), "ben-draft");
      await Promise.all([ada.run(), ben.run()]);
      expect(await ada.picture("SaveImage")).toContain("ada-only_00001_.png");
      expect(await ben.picture("SaveImage")).toContain("ben-only_00001_.png");
      await Promise.all([isIdle(ada), isIdle(ben)]);
      for (const number of numbers) expect(Object.keys(await stage.room.client(number).json<object>("/history"))).toHaveLength(1);
      await stage.closeTab(ada);

      const text = (graph: unknown): string => JSON.stringify(graph);
      await ben.reload();
      expect(text(await ben.page.evaluate(() => window.app.graph.serialize()))).toContain("ben-only");
      const again = await stage.tab(person, numbers[0]);
      await again.page.goto(again.access.url);
      await again.ready();
      const shown = text(await again.page.evaluate(() => window.app.graph.serialize()));
      expect(shown).not.toContain("ben-only");
      expect(shown).toContain("ada-only");
      const tabs = await again.page.evaluate(() => document.body.innerText);
      expect(tabs).not.toContain("ben-draft");
      await stage.leave(again);
    });
  });
}
