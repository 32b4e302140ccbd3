// One seat in one tab of the stock page, used as a person would. Keeps a list of everything that went wrong; whatever a test did not expect fails it.
import { setTimeout as sleep } from "node:timers/promises";
import type { BrowserContext, ConsoleMessage, Locator, Page, Request } from "playwright-core";
import { expect } from "vitest";
import type { SeatAccess } from "../../../../scripts/stack.ts";
import type { ComfyNode } from "./comfy-app.ts";

const PATIENCE_MS = 45_000;
const POLL_MS = 50;
/** So long without a request the page is taken to have nothing more to ask. */
const STILL_MS = 400;

export class SeatPage {
  readonly page: Page;
  readonly access: SeatAccess;
  /** Failed requests, errors in the console, exceptions, and requests to anywhere but the product. */
  readonly problems: string[] = [];
  /** Documents the tab asked for, redirects included. */
  readonly visits: string[] = [];
  readonly #answered = new Set<Request>();
  readonly #underWay = new Set<Request>();

  private constructor(page: Page, access: SeatAccess) {
    this.page = page;
    this.access = access;
    page.setDefaultTimeout(PATIENCE_MS);
    this.#watch();
  }

  static async open(context: BrowserContext, access: SeatAccess, origin = new URL(access.url).origin): Promise<SeatPage> {
    return new SeatPage(await context.newPage(), { ...access, url: access.url.replace(new URL(access.url).origin, origin) });
  }

  /** Opens the seat's address, is led to the login page, signs in there, and waits for the page to be ready. */
  async signIn(): Promise<void> {
    await this.page.goto(this.access.url);
    expect(new URL(this.page.url()).pathname).toMatch(/\/login$/);
    await this.page.getByLabel("Password").fill(this.access.password);
    await this.page.getByRole("button", { name: "Sign in" }).click();
    await this.ready();
  }

  async reload(): Promise<void> {
    await this.quiet();
    await this.page.reload();
    await this.ready();
  }

  /** The page has started, has its socket, and has opened some workflow. */
  async ready(): Promise<void> {
    await this.until("the page to start", () => window.app?.vueAppReady === true && window.app.api?.socket?.readyState === 1 && window.app.api.clientId !== undefined && window.app.graph?.nodes.length > 0);
    await this.page.getByRole("button", { name: "Run", exact: true }).waitFor();
    await this.quiet();
  }

  /** Waits until no request has been under way for a while. */
  async quiet(): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    for (let still = 0; still < STILL_MS; still = this.#underWay.size === 0 ? still + POLL_MS : 0) {
      if (Date.now() > deadline) throw new Error(`${this.access.id} is never quiet: ${[...this.#underWay].map((request) => request.url()).join(" ")}`);
      await sleep(POLL_MS);
    }
  }

  async load(graph: unknown, name: string): Promise<void> {
    const nodes = Object.keys(graph as object).length;
    await this.page.evaluate(([api, title]) => window.app.loadApiJson(api, title), [graph, name] as const);
    await this.until("the graph to open", (count) => window.app.graph.nodes.length === count, nodes);
  }

  async run(): Promise<void> {
    await this.page.getByRole("button", { name: "Run", exact: true }).click();
  }

  /** Closes whatever dialog is open. */
  async dismiss(): Promise<void> {
    await this.page.keyboard.press("Escape");
    await this.page.getByRole("dialog").first().waitFor({ state: "detached" });
  }

  cancelButton(): Locator {
    return this.page.getByRole("button", { name: "Cancel current run" });
  }

  async title(pattern: RegExp): Promise<void> {
    await this.until(`the title ${pattern}`, (source) => new RegExp(source).test(document.title), pattern.source);
  }

  /** Waits for a picture on the first node of this type that the page has loaded; returns its address. */
  async picture(type: string): Promise<string> {
    const src = await this.until(
      `a picture on ${type}`,
      (wanted) => {
        const image = window.app.graph.nodes.find((node) => node.type === wanted)?.imgs?.[0];
        return image !== undefined && image.naturalWidth > 0 && !image.src.startsWith("blob:") ? image.src : false;
      },
      type,
    );
    return String(src);
  }

  async node(type: string): Promise<Pick<ComfyNode, "id" | "type" | "progress" | "has_errors"> & { widgets: Record<string, unknown>; badInputs: string[] }> {
    return await this.page.evaluate((wanted) => {
      const node = window.app.graph.nodes.find((candidate) => candidate.type === wanted);
      if (node === undefined) throw new Error(`the graph has no ${wanted}`);
      const badInputs = (node.inputs ?? []).filter((input) => input.hasErrors === true).map((input) => input.name);
      return { id: node.id, type: node.type, progress: node.progress, has_errors: node.has_errors === true, widgets: Object.fromEntries((node.widgets ?? []).map((widget) => [widget.name, widget.value])), badInputs };
    }, type);
  }

  async setWidget(type: string, name: string, value: unknown): Promise<void> {
    await this.page.evaluate(
      ([wanted, widgetName, next]) => {
        const widget = window.app.graph.nodes.find((node) => node.type === wanted)?.widgets?.find((candidate) => candidate.name === widgetName);
        if (widget === undefined) throw new Error(`${wanted} has no ${widgetName}`);
        widget.value = next;
        widget.callback?.(next);
        window.app.canvas.setDirty(true, true);
      },
      [type, name, value] as const,
    );
  }

  /** Waits until `look` says something true inside the page, and returns it. */
  async until<Argument, Result>(what: string, look: (argument: Argument) => Result, argument?: Argument): Promise<Result> {
    try {
      const handle = await this.page.waitForFunction(look as (value: unknown) => Result, argument, { timeout: PATIENCE_MS, polling: POLL_MS });
      return (await handle.jsonValue()) as Result;
    } catch (error) {
      // SHOTS=FOLDER keeps a picture of what the page showed instead.
      if (process.env.SHOTS) await this.page.screenshot({ path: `${process.env.SHOTS}/${what.replaceAll(/\W+/g, "-")}.png` });
      throw new Error(`${this.access.id} waited in vain for ${what}: ${error instanceof Error ? error.message.split("\n")[0] : String(error)}\n${this.problems.join("\n")}`, { cause: error });
    }
  }

  /** Takes out problems the test brought about itself; each pattern must have occurred. */
  forgive(...patterns: RegExp[]): void {
    for (const pattern of patterns) {
      const kept = this.problems.filter((problem) => !pattern.test(problem));
      expect(kept.length, `expected ${pattern} among ${JSON.stringify(this.problems)}`).toBeLessThan(this.problems.length);
      this.problems.splice(0, this.problems.length, ...kept);
    }
  }

  /** Takes out problems that may or may not occur. */
  tolerate(...patterns: RegExp[]): void {
    this.problems.splice(0, this.problems.length, ...this.problems.filter((problem) => !patterns.some((pattern) => pattern.test(problem))));
  }

  /** Nothing went wrong that was not forgiven. */
  wasWell(): void {
    expect(this.problems.splice(0)).toEqual([]);
  }

  #watch(): void {
    const home = new URL(this.access.url).host;
    this.page.on("requestfinished", (request) => this.#underWay.delete(request));
    this.page.on("request", (request) => {
      this.#underWay.add(request);
      const url = new URL(request.url());
      if (request.isNavigationRequest() && request.frame() === this.page.mainFrame()) this.visits.push(request.url());
      if (/^(https?|wss?):$/.test(url.protocol) && url.host !== home) this.problems.push(`left the host: ${request.url()}`);
    });
    this.page.on("response", (response) => {
      this.#answered.add(response.request());
      // Nobody reads the body of an answer to a POST, and Chromium calls such a request unfinished for as long as it likes.
      if (response.request().method() !== "GET") this.#underWay.delete(response.request());
      if (response.status() >= 400) this.problems.push(`${response.status()} ${response.request().method()} ${response.url()}`);
    });
    this.page.on("requestfailed", (request) => {
      this.#underWay.delete(request);
      const reason = request.failure()?.errorText ?? "failed";
      // Chromium's word for an answer whose body nobody read.
      if (reason === "net::ERR_ABORTED" && this.#answered.has(request)) return;
      this.problems.push(`${reason} ${request.method()} ${request.url()}`);
    });
    this.page.on("console", (message: ConsoleMessage) => {
      if (message.type() === "error") this.problems.push(`console: ${message.text()}`);
    });
    this.page.on("pageerror", (error) => this.problems.push(`exception: ${error.message}`));
  }
}
