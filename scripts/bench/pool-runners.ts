// Runners of the bench at the product's own door: pool sockets as gpu-adapter/contract.ts has them. They do no work, so that what is measured is the platform.
import { WebSocket } from "ws";
import type { PlatformFrame, RunnerEvent, RunnerFrame, RunnerInfo, RunResult, Work } from "../../gpu-adapter/contract.ts";

/** Where runners of one pool dial in. */
export type PoolDoor = { /** `ws://…/next` */ poolUrl: string; poolToken: string };

export class PoolRunner {
  /** Called the moment a work frame is here. */
  onWork: (work: Work) => void = () => undefined;
  onResultAck: (job: string, status: string) => void = () => undefined;
  readonly #socket: WebSocket;
  readonly #info: RunnerInfo;
  #seq = 0;

  private constructor(socket: WebSocket, info: RunnerInfo) {
    this.#socket = socket;
    this.#info = info;
  }

  /** Connects and says hello; asks for nothing yet. */
  static async connect(door: PoolDoor, id: string): Promise<PoolRunner> {
    const socket = new WebSocket(door.poolUrl, { headers: { Authorization: `Bearer ${door.poolToken}` }, perMessageDeflate: false });
    const runner = new PoolRunner(socket, { id, version: "bench", mode: "pull" });
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.on("message", (data: Buffer) => {
        const frame = JSON.parse(data.toString()) as PlatformFrame;
        if (frame.type === "welcome") resolve();
        runner.#hear(frame);
      });
      socket.once("open", () => runner.#say({ type: "hello", runner: runner.#info }));
    });
    return runner;
  }

  #hear(frame: PlatformFrame): void {
    if (frame.type === "work") {
      this.#seq = 0;
      this.onWork(frame.work);
    } else if (frame.type === "result_ack") this.onResultAck(frame.job_id, frame.status);
  }

  #say(frame: RunnerFrame): void {
    this.#socket.send(JSON.stringify(frame));
  }

  next(): void {
    this.#say({ type: "next" });
  }

  /** One of ComfyUI's messages, as a run sends them. */
  comfy(work: Work, type: string, data: Record<string, unknown>): void {
    const event: RunnerEvent = { type: "comfy", seq: ++this.#seq, ts: Date.now(), message: { type, data } };
    this.#say({ type: "event", lease_id: work.claim.lease_id, event });
  }

  /** A run that succeeded without files; `next` asks for more in the same breath. */
  succeed(work: Work, next: boolean): void {
    const job = work.dispatch.job_id;
    const result: RunResult = {
      lease_id: work.claim.lease_id, status: "succeeded", files: [], comfy_outputs: {}, comfy_meta: {}, timings: { exec_ms: 1 }, runner: this.#info,
      comfy_messages: [["execution_start", { prompt_id: job, timestamp: 1 }], ["execution_success", { prompt_id: job, timestamp: 2 }]],
    };
    this.#say({ type: "result", job_id: job, attempt: work.dispatch.attempt, result, next });
  }

  close(): void {
    this.#socket.close();
  }
}

/** ms in which these runners, each ending its job the moment it has it, take `total` waiting jobs: from their first question to the last result acknowledged. */
export async function drain(runners: PoolRunner[], total: number): Promise<number> {
  let ended = 0;
  const began = performance.now();
  return await new Promise((resolve, reject) => {
    for (const runner of runners) {
      runner.onWork = (work) => runner.succeed(work, true);
      runner.onResultAck = (job, status) => {
        if (status !== "accepted") reject(new Error(`the result of ${job} was ${status}`));
        if (++ended === total) resolve(performance.now() - began);
      };
      runner.next();
    }
  });
}
