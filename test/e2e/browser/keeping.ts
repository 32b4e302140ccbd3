// What stays: workflows saved and renamed, settings that follow the person to another browser.
import { describe, expect, test } from "vitest";
import { colourGraph } from "../support/seat-client.ts";
import type { Stage } from "./stage.ts";
import type { SeatPage } from "./support/seat-page.ts";

async function openWorkflows(seat: SeatPage): Promise<void> {
  const search = seat.page.getByPlaceholder("Search Workflows...");
  if (!(await search.isVisible())) await seat.page.getByRole("button", { name: /^Workflows/ }).click();
  await search.waitFor();
}

/** The tree's entry of this name; names may be shown with or without their ending. */
function entry(seat: SeatPage, name: string) {
  return seat.page.getByRole("treeitem").filter({ hasText: new RegExp(`^\\s*${name}(\\.json)?\\s*$`) }).first();
}

export function keeping(stage: Stage): void {
  describe("keeping", () => {
    let seat: SeatPage;
    let number = 0;
    const saved = async (): Promise<string[]> => (await stage.room.client(number).json<string[]>("/userdata?dir=workflows&recurse=true")).filter((name) => !name.startsWith("Text to picture")).sort();

    test("a workflow is saved, renamed, and opened again after a reload", async () => {
      number = stage.newSeat();
      seat = await stage.seated(number);
      await seat.load(colourGraph(0x445566, "kept"), "my first");
      await seat.page.locator("#graph-canvas").focus();
      await seat.page.keyboard.press("Control+s");
      const field = seat.page.getByRole("dialog").getByRole("textbox");
      await field.fill("my flow é");
      await seat.page.getByRole("button", { name: "Confirm" }).click();
      await seat.title(/^my flow é/);
      expect(await saved()).toEqual(["my flow é.json"]);

      await openWorkflows(seat);
      await entry(seat, "my flow é").click({ button: "right" });
      await seat.page.getByRole("menuitem", { name: "Rename" }).click();
      const editor = seat.page.getByRole("tree").getByRole("textbox");
      await editor.fill("second name");
      await editor.press("Enter");
      await seat.title(/^second name/);
      expect(await saved()).toEqual(["second name.json"]);

      await seat.reload();
      await openWorkflows(seat);
      await entry(seat, "Text to picture \\(sandbox\\)").click();
      await seat.title(/^Text to picture \(sandbox\)/);
      await entry(seat, "second name").click();
      await seat.title(/^second name/);
      await seat.until("the saved graph", () => window.app.graph.nodes.some((node) => node.widgets?.some((widget) => widget.value === "kept")));
    });

    test("a setting changed in one browser holds in another", async () => {
      const minimap = seat.page.getByTestId("toggle-minimap-button");
      const { page } = seat;
      await page.locator(".litegraph-minimap").waitFor();
      await minimap.click();
      await page.locator(".litegraph-minimap").waitFor({ state: "detached" });
      await seat.until("the setting to be stored", async () => (await (await window.app.api.fetchApi("/settings/Comfy.Minimap.Visible")).json()) === false);
      await stage.leave(seat);
      const elsewhere = await stage.seated(number);
      await elsewhere.page.getByTestId("toggle-minimap-button").waitFor();
      expect(await elsewhere.page.locator(".litegraph-minimap").count()).toBe(0);
      await stage.leave(elsewhere);
    });
  });
}
