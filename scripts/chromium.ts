// Debian's Chromium, headless, with a profile of its own that is gone afterwards; nothing of it calls home.
import { type Browser, chromium, type Page } from "playwright-core";

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export async function launchChromium(): Promise<Browser> {
  return await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
}

/** Signs a tab in at a seat through the login page and waits until the stock page runs: its socket open, a workflow on the canvas. */
export async function signIn(page: Page, seat: { url: string; password: string }): Promise<void> {
  await page.goto(seat.url);
  await page.getByLabel("Password").fill(seat.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await pageReady(page);
}

const READY = "window.app?.vueAppReady === true && window.app.api?.socket?.readyState === 1 && window.app.graph?.nodes.length > 0";

/** Waits until the stock page runs. Throws Playwright's TimeoutError after two minutes. */
export async function pageReady(page: Page): Promise<void> {
  await page.waitForFunction(READY, null, { polling: 50, timeout: 120_000 });
  await page.waitForLoadState("networkidle");
}
