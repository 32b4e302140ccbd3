// Retakes the README's picture: a seat of the pinned frontend after a painted run. `node scripts/screenshots.ts [FOLDER]` under the project's own Node.
// With a folder it also takes the sign-in page, the workshop's page and the dashboard into it, for looking at.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import sharp from "sharp";
import { launchChromium, signIn } from "./chromium.ts";
import { freePort, ROOT, type Stack, startStack } from "./stack.ts";

const SIZE = { width: 1400, height: 900 };
/** Colours of the palette: enough for the painted picture, few enough to stay below 400 kB. */
const COLOURS = 256;

const PAINTED = `window.app.graph.nodes.some((node) => node.type === "SaveImage" && node.imgs?.[0]?.naturalWidth > 0)`;
const IDLE = String.raw`!/\d%\]/.test(document.title) && !/Job queued|Job queuing/.test(document.body.innerText)`;

async function store(page: Page, file: string): Promise<void> {
  await sharp(await page.screenshot()).png({ palette: true, colours: COLOURS, compressionLevel: 9, effort: 10 }).toFile(file);
  process.stdout.write(`${file}\n`);
}

async function takeSeat(page: Page, stack: Stack, file: string): Promise<void> {
  const [seat] = stack.access.seats;
  if (seat === undefined) throw new Error("the workshop has no seat");
  await signIn(page, seat);
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await page.waitForFunction(PAINTED, null, { polling: 100 });
  await page.waitForFunction(IDLE, null, { polling: 100 });
  await store(page, file);
}

async function takeOurs(page: Page, stack: Stack, folder: string): Promise<void> {
  const { origin, workshop, instructor } = stack.access;
  await page.goto(`${origin}/${workshop}/`);
  await store(page, join(folder, "workshop.png"));
  await page.goto(instructor.url);
  await store(page, join(folder, "login.png"));
  await page.getByLabel("Password").fill(instructor.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(/\/dashboard\/$/);
  await page.waitForLoadState("load");
  await page.waitForFunction("/idle|busy/.test(document.body.innerText)", null, { polling: 100 });
  await store(page, join(folder, "dashboard.png"));
}

const stateDir = mkdtempSync(join(tmpdir(), "comfyume-screenshots-"));
const stack = await startStack({ port: await freePort(), workshop: "demo", seats: 20, runners: 1, stateDir, workshopDir: join(stateDir, "workshop") });
const browser = await launchChromium();
try {
  mkdirSync(join(ROOT, "docs/images"), { recursive: true });
  await takeSeat(await (await browser.newContext({ viewport: SIZE })).newPage(), stack, join(ROOT, "docs/images/seat.png"));
  const [folder] = process.argv.slice(2);
  if (folder !== undefined) {
    mkdirSync(folder, { recursive: true });
    await takeOurs(await (await browser.newContext({ viewport: SIZE })).newPage(), stack, folder);
  }
} finally {
  await browser.close();
  await stack.stop();
  rmSync(stateDir, { recursive: true, force: true });
}
