// What every serverless provider has behind its HTTP face: a queue of messages and machines that take them one at a time, come up when there is work and
// may die at any moment. Where a provider's behaviour is not established, the fleet has a switch [G34].
import { type Answer, Replica, type ReplicaOptions } from "./replica.ts";

export type FleetOptions = ReplicaOptions & {
  min: number;
  max: number;
  /** A message whose machine died is handed to another this often; 0 = it is lost. */
  redeliver: number;
  /** The gateway gives a machine more than it takes: its 409 becomes the message's answer. */
  blind?: boolean;
  /** ms a message may wait and run before it is dropped; 0 = for ever. */
  ttlMs?: number;
};
export type Message = {
  id: string;
  body: unknown;
  state: "queued" | "delivered" | "completed" | "lost" | "expired" | "cancelled";
  deliveries: number;
  answer: Answer | null;
  replica: Replica | null;
  at: number;
};

export class Fleet {
  readonly options: FleetOptions;
  readonly replicas: Replica[] = [];
  readonly messages = new Map<string, Message>();
  /** Machines that ever were. */
  started = 0;
  paused = false;
  /** No machine is to be had: nothing starts. */
  noCapacity = false;
  #closed = false;

  constructor(options: FleetOptions) {
    this.options = options;
    this.#fill();
  }

  /** Puts a message into the queue; under a known id as the provider's switch says. */
  put(id: string, body: unknown, repeated: "dedupe" | "second" | "overwrite" = "second"): Message {
    const known = this.messages.get(id);
    if (known !== undefined && repeated === "dedupe") return known;
    const message: Message = { id, body, state: "queued", deliveries: 0, answer: null, replica: null, at: Date.now() };
    if (known !== undefined && repeated === "overwrite") this.messages.delete(id);
    // A second message under one id: both are delivered, the id tells of the newer.
    if (known !== undefined && repeated === "second") this.messages.set(`${id}~${this.messages.size}`, known);
    this.messages.set(id, message);
    const { ttlMs = 0 } = this.options;
    if (ttlMs > 0) setTimeout(() => this.#expire(message), ttlMs).unref();
    this.pump();
    return message;
  }

  cancel(message: Message): void {
    if (message.state === "queued" || message.state === "delivered") message.state = "cancelled";
  }

  /** Machines up or coming. */
  get size(): number {
    return this.replicas.filter(({ state }) => state !== "gone" && state !== "terminating").length;
  }

  get up(): Replica[] {
    return this.replicas.filter(({ state }) => state === "running");
  }

  /** The machine that has this message now. */
  holder(id: string): Replica | null {
    return this.messages.get(id)?.replica ?? null;
  }

  scale(min: number, max = Math.max(min, this.options.max)): void {
    this.options.min = min;
    this.options.max = max;
    this.#fill();
    this.pump();
  }

  /** Scale-down to `count`; a machine in the middle of a request is spared only when `spareBusy`. */
  async scaleDown(count: number, spareBusy: boolean): Promise<void> {
    const busy = new Set([...this.messages.values()].filter(({ state }) => state === "delivered").map(({ replica }) => replica));
    const victims = this.up.filter((replica) => !spareBusy || !busy.has(replica)).slice(0, Math.max(0, this.up.length - count));
    await Promise.all(victims.map((replica) => replica.terminate()));
  }

  /** Spot eviction of the machine with this message. */
  async evict(id: string, notice: boolean): Promise<void> {
    const replica = this.holder(id);
    if (notice) await replica?.terminate();
    else replica?.kill();
  }

  /** Hands waiting messages to machines that are up and free, and asks for more machines while some wait. */
  pump(): void {
    if (this.#closed || this.paused) return;
    for (const message of this.messages.values()) {
      if (message.state !== "queued") continue;
      const free = this.up.find((replica) => this.options.blind === true || ![...this.messages.values()].some((other) => other.replica === replica && other.state === "delivered"));
      if (free !== undefined) this.#deliver(message, free);
    }
    const waiting = [...this.messages.values()].filter(({ state }) => state === "queued").length;
    const coming = this.replicas.filter(({ state }) => state === "initializing").length;
    for (let more = waiting - coming; more > 0 && this.size < this.options.max && !this.noCapacity; more--) this.#start();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const replica of this.replicas) replica.kill();
    await Promise.all(this.replicas.map((replica) => replica.runner?.exited));
  }

  #fill(): void {
    while (!this.noCapacity && !this.#closed && this.size < this.options.min) this.#start();
  }

  #start(): void {
    const replica = new Replica(this.options);
    this.started++;
    this.replicas.push(replica);
    void replica.ready.then(() => this.pump());
    void replica.ended.then(() => this.#replace());
  }

  #replace(): void {
    if (this.#closed) return;
    this.#fill();
    this.pump();
  }

  #deliver(message: Message, replica: Replica): void {
    message.state = "delivered";
    message.deliveries++;
    message.replica = replica;
    const over = (state: Message["state"], answer: Answer | null): void => {
      message.replica = null;
      if (message.state === "delivered") {
        message.state = state;
        message.answer = answer;
      }
      this.pump();
    };
    replica.job(message.body).then(
      (answer) => over("completed", answer),
      () => over(message.deliveries <= this.options.redeliver ? "queued" : "lost", null),
    );
  }

  #expire(message: Message): void {
    if (message.state === "queued" || message.state === "delivered") message.state = "expired";
  }
}
