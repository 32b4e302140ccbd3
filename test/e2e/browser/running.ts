// Pressing Run in the stock page: progress, preview and picture on the nodes, history after a reload, errors, cancelling.
import { describe, expect, test } from "vitest";
import { colourGraph } from "../support/seat-client.ts";
import type { Stage } from "./stage.ts";
import type { SeatPage } from "./support/seat-page.ts";

/** Comfy's registry of node packs: asked by the newest page when a person opens an error's details. */
const REGISTRY = /https:\/\/api\.comfy\.org\/(comfy-nodes\/|nodes\?node_id=)/;

/**
 * Runs until somebody stops it, with progress and previews on its second node. The numbers are no other graph's: the older page shows the preview of an
 * interrupted node on whatever has its number next.
 */
export function endlessGraph(): Record<string, unknown> {
  return {
    "91": { class_type: "EmptyImage", inputs: { width: 64, height: 64, batch_size: 1, color: 0x3366ff } },
    "92": { class_type: "SandboxSleep", inputs: { image: ["91", 0], seconds: 600, steps: 1200, previews: true, seed: 1 } },
    "93": { class_type: "SaveImage", inputs: { images: ["92", 0], filename_prefix: "endless" } },
  };
}

export async function showsProgress(seat: SeatPage): Promise<void> {
  await seat.until("progress and a preview on the node", () => {
    const node = window.app.graph.nodes.find((candidate) => candidate.type === "SandboxSleep");
    return node !== undefined && (node.progress ?? 0) > 0 && (node.imgs?.[0]?.naturalWidth ?? 0) > 0 && node.imgs?.[0]?.src.startsWith("blob:") === true;
  });
}

export async function isIdle(seat: SeatPage): Promise<void> {
  await seat.until("the page to be idle", () => !/\d%\]/.test(document.title) && window.app.graph.nodes.every((node) => node.progress === undefined));
}

export function running(stage: Stage): void {
  describe("running", () => {
    let seat: SeatPage;
    let number = 0;

    test("Run paints the starter workflow: the picture is on its node, and after a reload among the assets and in the queue's history", async () => {
      number = stage.newSeat();
      seat = await stage.seated(number);
      await seat.run();
      const src = await seat.picture("SaveImage");
      expect(src).toContain("filename=picture_00001_.png");
      await isIdle(seat);
      await seat.reload();
      await seat.page.getByRole("button", { name: /^Assets/ }).click();
      const tile = seat.page.locator('img[src*="picture_00001_.png"]').first();
      await tile.waitFor();
      await seat.until("the asset's picture to load", () => [...document.querySelectorAll("img")].some((image) => image.src.includes("picture_00001_.png") && image.naturalWidth > 0));
      await seat.quiet();
      await seat.page.getByRole("button", { name: /^Assets/ }).click();
      await seat.page.getByRole("button", { name: "Expand job queue" }).click();
      await seat.page.getByText("picture_00001_.png").first().waitFor();
      await seat.page.getByRole("button", { name: "Expand job queue" }).click();
    });

    test("a run shows its progress and preview on the node and in the title, and Cancel interrupts it", async () => {
      await seat.load(endlessGraph(), "endless");
      await seat.run();
      await showsProgress(seat);
      await seat.title(/\d%\]/);
      await seat.cancelButton().click();
      await isIdle(seat);
      const jobs = await stage.room.client(number).json<{ jobs: { status: string }[] }>("/api/jobs?limit=1&offset=0");
      expect(jobs.jobs[0]?.status).toBe("cancelled");
    });

    test("a job waiting behind a long one is deleted from the queue; the long one goes on", async () => {
      await seat.load(endlessGraph(), "queue");
      await seat.run();
      await showsProgress(seat);
      await seat.run();
      await seat.page.getByRole("button", { name: "Expand job queue" }).click();
      await seat.page.getByText("In queue...").first().waitFor();
      await seat.page.getByRole("button", { name: "Clear queued" }).click();
      await seat.page.getByText("In queue...").first().waitFor({ state: "detached" });
      const queue = await stage.room.client(number).json<{ queue_pending: unknown[]; queue_running: unknown[] }>("/queue");
      expect([queue.queue_pending.length, queue.queue_running.length]).toEqual([0, 1]);
      await seat.page.getByRole("button", { name: "Expand job queue" }).click();
      await seat.cancelButton().click();
      await isIdle(seat);
    });

    test("running the same again is answered from the cache: no node runs twice, the picture stays", async () => {
      await seat.load(colourGraph(0x00aa88, "again"), "again");
      await seat.run();
      expect(await seat.picture("SaveImage")).toContain("filename=again_00001_.png");
      await isIdle(seat);
      const client = stage.room.client(number);
      const jobs = async (): Promise<string[]> => Object.keys(await client.json<object>("/history"));
      const before = await jobs();
      await seat.run();
      await expect.poll(async () => (await jobs()).length, { timeout: 30_000 }).toBe(before.length + 1);
      await isIdle(seat);
      expect(await seat.picture("SaveImage")).toContain("filename=again_00001_.png");
      const entry = await client.ended((await jobs()).find((job) => !before.includes(job)) ?? "");
      const cached = entry.status.messages.find(([type]) => type === "execution_cached")?.[1].nodes as string[];
      expect(cached.toSorted()).toEqual(["1", "2"]);
      expect(entry.outputs["2"]?.images?.[0]?.filename).toBe("again_00001_.png");
    });

    test("a bad value is refused before it is queued, and its node and input are marked", async () => {
      await seat.load(colourGraph(0x123456, "bad"), "bad");
      await seat.setWidget("EmptyImage", "width", 0);
      await seat.run();
      await seat.until("the node to be marked", () => window.app.graph.nodes.find((node) => node.type === "EmptyImage")?.has_errors === true);
      expect((await seat.node("EmptyImage")).badInputs).toEqual(["width"]);
      expect((await seat.node("SaveImage")).has_errors).toBe(false);
      await seat.page.getByText(stage.older ? "Value 0 smaller than min" : "width").first().waitFor();
      seat.forgive(/^400 POST .*\/api\/prompt/, /^console: .*400/, /^console: PromptExecutionError/);
      await seat.dismiss();
    });

    test("a node that fails at run time shows a dialog with the node and its message", async () => {
      await seat.load(
        {
          "1": { class_type: "EmptyImage", inputs: { width: 64, height: 64, batch_size: 1, color: 0 } },
          "2": { class_type: "SandboxFail", inputs: { image: ["1", 0], message: "the paint ran out", error: "error" } },
          "3": { class_type: "SaveImage", inputs: { images: ["2", 0], filename_prefix: "fail" } },
        },
        "fail",
      );
      await seat.run();
      if (!stage.older) await seat.page.getByRole("button", { name: "View details" }).click();
      await seat.page.getByText("the paint ran out").first().waitFor();
      await seat.page.getByText(/^Sandbox ?Fail/).first().waitFor();
      await isIdle(seat);
      // The card's details look the failing node's pack up in the public registry, as they do on any server; the page offers no switch for it.
      seat.tolerate(REGISTRY, /^console: .*net::ERR_NAME_NOT_RESOLVED/);
      await seat.dismiss();
      await stage.leave(seat);
    });
  });
}
