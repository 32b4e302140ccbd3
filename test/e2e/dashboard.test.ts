// The instructor's page in a real Chromium: what it shows is what the workshop says, every button does what it says, and what can be taken back is.
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { launchChromium } from "./browser/support/chromium.ts";
import { openRoom, type Room } from "./support/room.ts";
import { sleepGraph } from "./support/seat-client.ts";

let room: Room;
let browser: Browser;
let page: Page;
const complaints: string[] = [];

beforeAll(async () => {
  [room, browser] = await Promise.all([openRoom({ seats: 3 }), launchChromium()]);
  page = await (await browser.newContext({ viewport: { width: 1200, height: 900 } })).newPage();
  page.on("console", (message) => (message.type() === "error" || message.type() === "warning") && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(room.access.instructor.url);
  await page.fill("input[name=seat]", "instructor");
  await page.fill("input[name=password]", room.access.instructor.password);
  await page.click("button[type=submit]");
  await page.getByText("Live", { exact: true }).waitFor();
});
afterAll(async () => {
  await browser?.close();
  await room?.end();
});

const toast = async (): Promise<string> => (await page.textContent("#toast-text")) ?? "";
const pressed = async (name: string): Promise<string | null> => await page.getByRole("button", { name, exact: true }).getAttribute("aria-pressed");
const jobRow = (job: string) => page.locator(`#jobs tr[data-key="${job}"]`);
const places = async (): Promise<string[]> => await page.locator("#jobs tr").evaluateAll((rows) => rows.map((row) => (row as HTMLElement).dataset["key"] ?? ""));

describe("the dashboard", () => {
  test("pausing shows, offers an undo, and the undo brings it back", async () => {
    expect(await pressed("Open")).toBe("true");
    await page.getByRole("button", { name: "Pause", exact: true }).click();
    await page.getByRole("button", { name: /^Undo/ }).waitFor();
    expect(await toast()).toMatch(/paused/);
    await expect.poll(() => pressed("Pause")).toBe("true");
    await page.getByRole("button", { name: /^Undo/ }).click();
    await expect.poll(() => pressed("Open")).toBe("true");
    expect(await toast()).toMatch(/^Taken back/);
    expect(await page.getByRole("button", { name: /^Undo/ }).isVisible()).toBe(false);
  });

  test("the line is the workshop's: jobs come, move to the front and back, are cancelled, and a button keeps the focus while rows change", async () => {
    const [one, two] = [room.client(1), room.client(2)];
    const running = await one.submit(sleepGraph(6));
    await jobRow(running).getByText("running", { exact: true }).waitFor();
    const first = await one.submit(sleepGraph(1));
    const second = await two.submit(sleepGraph(1));
    const last = await one.submit(sleepGraph(1));
    await jobRow(last).waitFor();
    await expect.poll(async () => (await places()).at(-1)).toBe(last);
    expect(await jobRow(running).getByRole("button", { name: /front/ }).isVisible()).toBe(false);
    const front = jobRow(last).getByRole("button", { name: /to the front/ });
    await front.focus();
    await front.press("Enter");
    await expect.poll(async () => (await places())[1]).toBe(last);
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("Back in line");
    await page.keyboard.press("Enter");
    await expect.poll(async () => (await places()).at(-1)).toBe(last);
    await jobRow(first).getByRole("button", { name: /^Cancel/ }).click();
    await jobRow(first).waitFor({ state: "detached" });
    expect(await toast()).toMatch(/cancelled before it ran/);
    expect(await places()).toContain(second);
    await expect.poll(() => page.textContent("#cancelled")).toBe("1");
    await one.ended(last, 60);
    await expect.poll(() => page.textContent("#succeeded")).toBe("3");
    await page.getByText("Nobody waits and nothing runs.").waitFor();
  });

  test("order, demo, a seat's pause and a notice", async () => {
    await page.getByRole("button", { name: "In turn", exact: true }).click();
    await expect.poll(() => pressed("In turn")).toBe("true");
    await page.locator("#demo").click();
    await page.getByText(/the instructor's prompts go first/).waitFor();
    await page.locator("#demo").click();
    await expect.poll(() => page.textContent("#demo-until")).toBe("");
    await page.getByRole("button", { name: "Pause the seat user002" }).click();
    await page.getByRole("button", { name: "Let user002 go on" }).click();
    await page.getByRole("button", { name: "Pause the seat user002" }).waitFor();
    await page.fill("#notice", "Five minutes' break <b>now</b>");
    await page.getByRole("button", { name: "Announce" }).click();
    await page.locator("#notices").getByText("Five minutes' break <b>now</b>").waitFor();
    await page.getByRole("button", { name: /^Take down/ }).click();
    await expect.poll(() => page.locator("#notices li").count()).toBe(0);
    await page.getByRole("link", { name: "user001" }).click();
    await page.locator("#found-rows").getByText("cancelled").waitFor();
  });

  test("a server that goes away is said to be away, and the page finds back by itself", async () => {
    const wrangler = room.children.get("wrangler")!;
    const gone = new Promise((resolve) => wrangler.once("exit", resolve));
    wrangler.kill("SIGTERM");
    await gone;
    await page.getByText(/The connection is gone; what is shown is of/).waitFor();
    expect(complaints.filter((text) => !/WebSocket|ERR_CONNECTION|Failed to load/.test(text))).toEqual([]);
    await room.startWrangler();
    await page.getByText("Live", { exact: true }).waitFor({ timeout: 60_000 });
  });
});
