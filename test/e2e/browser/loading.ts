// The first minute of a participant: sign in, see the page, see a workflow that runs.
import { describe, expect, test } from "vitest";
import { colourGraph } from "../support/seat-client.ts";
import type { Stage } from "./stage.ts";

const STARTER = ["CLIPTextEncode", "CLIPTextEncode", "CheckpointLoaderSimple", "EmptyLatentImage", "KSampler", "SaveImage", "VAEDecode"];

export function loading(stage: Stage): void {
  describe("loading", () => {
    test("a participant signs in and the stock page opens the starter workflow, without a failed request or an error", async () => {
      const seat = await stage.seated();
      const types = await seat.page.evaluate(() => window.app.graph.nodes.map((node) => node.type).sort());
      expect(types).toEqual(STARTER);
      expect(new URL(seat.page.url()).pathname).toBe(new URL(seat.access.url).pathname);
      seat.wasWell();
      await seat.reload();
      expect(await seat.page.evaluate(() => window.app.graph.nodes.map((node) => node.type).sort())).toEqual(STARTER);
      await stage.leave(seat);
    });

    test("a wrong password is refused with a sentence, and the right one works after it", async () => {
      const seat = await stage.tab(await stage.person(), stage.newSeat());
      await seat.page.goto(seat.access.url);
      await seat.page.getByLabel("Password").fill("not the password");
      await seat.page.getByRole("button", { name: "Sign in" }).click();
      await seat.page.getByText("do not fit together").waitFor();
      seat.forgive(/^401 POST .*\/login/, /^console: .*401/);
      await seat.page.getByLabel("Password").fill(seat.access.password);
      await seat.page.getByRole("button", { name: "Sign in" }).click();
      await seat.ready();
      await stage.leave(seat);
    });

    test("a session that has ended neither loops nor loses work: the page says so, and signing in again brings it back", async () => {
      const seat = await stage.seated();
      await seat.load(colourGraph(0x777777, "before-the-end"), "unsaved");
      await seat.page.context().clearCookies({ name: /^cm_/ });
      const visits = seat.visits.length;
      await seat.run();
      await seat.page.getByText(/session has ended/).first().waitFor();
      expect(await seat.page.evaluate(async () => await window.app.api.fetchApi("/settings").then(async (answer) => [answer.status, (await answer.text()).length > 0]))).toEqual([403, true]);
      await seat.quiet();
      expect(seat.visits.length).toBe(visits);
      seat.forgive(/^403 POST .*\/api\/prompt/, /^403 GET .*\/api\/settings/, /^console: .*403/, /^console: PromptExecutionError/);
      // The page adds the server's log to what it shows of an error, which is refused in the same way.
      seat.tolerate(/^403 GET .*\/internal\/logs/, /^console: Error fetching logs/);
      await seat.page.reload();
      expect(new URL(seat.page.url()).pathname).toMatch(/\/login$/);
      await seat.page.getByLabel("Password").fill(seat.access.password);
      await seat.page.getByRole("button", { name: "Sign in" }).click();
      await seat.ready();
      // The reload, the login page it leads to, the form, and the seat.
      expect(seat.visits.slice(visits)).toHaveLength(4);
      expect(JSON.stringify(await seat.page.evaluate(() => window.app.graph.serialize()))).toContain("before-the-end");
      await stage.leave(seat);
    });
  });
}
