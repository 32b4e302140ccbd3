// The real bundled runner as a child process, with its log lines to wait for.
import { type ChildProcess, spawn } from "node:child_process";
import { RUNNER_FILE } from "../../../../scripts/build-runner.ts";

export type Line = { event: string; [field: string]: unknown };

export class RunnerProcess {
  readonly lines: Line[] = [];
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  stdout = "";
  stderr = "";
  readonly #listeners = new Set<() => void>();

  constructor(args: string[], env: Record<string, string> = {}) {
    this.child = spawn(process.execPath, [RUNNER_FILE, ...args], { env: { PATH: process.env.PATH ?? "", ...env }, stdio: ["ignore", "pipe", "pipe"] });
    let rest = "";
    this.child.stdout?.on("data", (chunk: Buffer) => {
      this.stdout += chunk.toString();
      rest += chunk.toString();
      const lines = rest.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line.startsWith("{")) this.lines.push(JSON.parse(line) as Line);
      for (const listener of this.#listeners) listener();
    });
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    this.exited = new Promise((resolve) => this.child.once("exit", (code) => resolve(code)));
  }

  /** Resolves with the first line, past or coming, of this event that fits. */
  async logged(event: string, fits: (line: Line) => boolean = () => true, seconds = 60): Promise<Line> {
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#listeners.delete(look);
        reject(new Error(`the runner did not log ${event} within ${seconds} s; its last lines: ${JSON.stringify(this.lines.slice(-8))} ${this.stderr.slice(-500)}`));
      }, seconds * 1000);
      const look = (): boolean => {
        const found = this.lines.find((line) => line.event === event && fits(line));
        if (found === undefined) return false;
        clearTimeout(timer);
        this.#listeners.delete(look);
        resolve(found);
        return true;
      };
      if (!look()) this.#listeners.add(look);
    });
  }

  /** Connected to the platform, and its ComfyUI is ready. */
  async ready(): Promise<void> {
    await this.logged("socket_up");
    await this.logged("stage", ({ stage }) => stage === "ready");
  }

  count(event: string): number {
    return this.lines.filter((line) => line.event === event).length;
  }

  async stop(): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill("SIGTERM");
    const hard = setTimeout(() => this.child.kill("SIGKILL"), 15_000);
    const code = await this.exited;
    clearTimeout(hard);
    return code;
  }
}
