// Pictures into a workflow: chosen from disk, pasted, and masked in the page's own mask editor; each must reach the GPU.
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import type { Stage } from "./stage.ts";
import type { SeatPage } from "./support/seat-page.ts";

async function plainPng(colour: { r: number; g: number; b: number }): Promise<Buffer> {
  return await sharp({ create: { width: 64, height: 64, channels: 3, background: colour } }).png().toBuffer();
}

function invertGraph(image: string): Record<string, unknown> {
  return {
    "1": { class_type: "LoadImage", inputs: { image } },
    "2": { class_type: "ImageInvert", inputs: { image: ["1", 0] } },
    "3": { class_type: "SaveImage", inputs: { images: ["2", 0], filename_prefix: "inverted" } },
  };
}

/** The colour in the middle of a picture the page shows, fetched as the page would. */
async function colourOf(stage: Stage, seat: number, src: string): Promise<number[]> {
  const answer = await stage.room.client(seat).fetch(`/view${new URL(src).search}`);
  expect(answer.status).toBe(200);
  const { data, info } = await sharp(Buffer.from(await answer.arrayBuffer())).raw().toBuffer({ resolveWithObject: true });
  const middle = (Math.floor(info.height / 2) * info.width + Math.floor(info.width / 2)) * info.channels;
  return [...data.subarray(middle, middle + 3)];
}

export function files(stage: Stage): void {
  describe("files", () => {
    let seat: SeatPage;
    let number = 0;

    test("a picture chosen from disk is uploaded, shown on LoadImage, and reaches the GPU", async () => {
      number = stage.newSeat();
      const form = new FormData();
      form.append("image", new Blob([new Uint8Array(await plainPng({ r: 1, g: 2, b: 3 }))], { type: "image/png" }), "first.png");
      expect((await stage.room.client(number).fetch("/upload/image", { method: "POST", body: form })).status).toBe(200);
      seat = await stage.seated(number);
      await seat.load(invertGraph("first.png"), "files");
      expect(await seat.picture("LoadImage")).toContain("filename=first.png");
      const chooser = seat.page.waitForEvent("filechooser");
      await seat.page.evaluate(() => {
        const widget = window.app.graph.nodes.find((node) => node.type === "LoadImage")?.widgets?.find(({ name }) => name === "upload");
        widget?.callback?.(widget.value);
      });
      await (await chooser).setFiles({ name: "mein bild ü.png", mimeType: "image/png", buffer: await plainPng({ r: 10, g: 200, b: 30 }) });
      await seat.until("the uploaded picture", () => window.app.graph.nodes.some(({ widgets, imgs }) => widgets?.[0]?.value === "mein bild ü.png" && imgs?.[0]?.naturalWidth === 64 && new URL(imgs[0].src).searchParams.get("filename") === "mein bild ü.png"));
      await seat.run();
      expect(await colourOf(stage, number, await seat.picture("SaveImage"))).toEqual([245, 54, 225]);
    });

    test("a pasted picture becomes a LoadImage of its own", async () => {
      const bytes = (await plainPng({ r: 200, g: 0, b: 100 })).toString("base64");
      await seat.page.evaluate((base64) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))], "image.png", { type: "image/png" }));
        document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
      }, bytes);
      const pasted = await seat.until("the pasted picture", () => {
        const found = window.app.graph.nodes.find((node) => node.type === "LoadImage" && String(node.widgets?.[0]?.value).endsWith("image.png"))?.imgs?.[0];
        return found !== undefined && found.naturalWidth > 0 && new URL(found.src).searchParams.get("filename") === "image.png" ? found.src : false;
      });
      expect(await colourOf(stage, number, String(pasted))).toEqual([200, 0, 100]);
    });

    test("a mask painted in the mask editor is saved, and the masked picture is what LoadImage holds", async () => {
      await seat.load(invertGraph("mein bild ü.png"), "mask");
      await seat.picture("LoadImage");
      await seat.page.evaluate(async () => {
        const node = window.app.graph.nodes.find((candidate) => candidate.type === "LoadImage");
        if (node === undefined) throw new Error("no LoadImage");
        window.app.canvas.selectNode(node);
        await window.app.extensionManager.command.execute("Comfy.MaskEditor.OpenMaskEditor");
      });
      await seat.page.getByText("Mask Editor").first().waitFor();
      await seat.page.getByText("Brush Settings").first().waitFor();
      const { x, y } = await seat.until("the editor's canvas", () => {
        const canvas = [...document.querySelectorAll("canvas")].find((candidate) => candidate.width === 64 && candidate.getBoundingClientRect().width > 200);
        const box = canvas?.getBoundingClientRect();
        return box === undefined ? null : { x: box.x + box.width / 2, y: box.y + box.height / 2 };
      }) ?? { x: 0, y: 0 };
      await seat.page.mouse.move(x - 120, y);
      await seat.page.mouse.down();
      await seat.page.mouse.move(x + 120, y, { steps: 12 });
      await seat.page.mouse.up();
      await seat.page.getByRole("dialog").getByRole("button", { name: /Save$/ }).click();
      await seat.until("the mask to be saved", () => String(window.app.graph.nodes.find((node) => node.type === "LoadImage")?.widgets?.[0]?.value).includes("clipspace-"));
      const name = String((await seat.node("LoadImage")).widgets["image"]);
      const [, subfolder = "", filename = ""] = /^(clipspace)?\/?(clipspace-painted-masked-\d+\.png) \[input\]$/.exec(name) ?? [];
      const masked = await stage.room.client(number).fetch(`/view?${new URLSearchParams({ filename, subfolder, type: "input" })}`);
      expect(masked.status, name).toBe(200);
      const { data, info } = await sharp(Buffer.from(await masked.arrayBuffer())).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
      const alpha = (px: number, py: number): number | undefined => data[(py * info.width + px) * 4 + 3];
      expect([info.width, info.height, alpha(32, 32), alpha(2, 2)]).toEqual([64, 64, 0, 255]);
      await seat.run();
      await seat.picture("SaveImage");
      await stage.leave(seat);
    });
  });
}
