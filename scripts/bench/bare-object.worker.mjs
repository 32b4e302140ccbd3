// The least that the same runtime can do for the same requests: an object that stores prompts in one table and hands them to runners. No sign-in, no
// validation, no queue rules, no log, no history: whatever is built on this runtime is slower than this. Commits are gathered as the product gathers them.
import { DurableObject } from "cloudflare:workers";

export class Bare extends DurableObject {
  #entries = [];
  #waiting = [];
  #idle = [];

  constructor(ctx, env) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS jobs (seq INTEGER PRIMARY KEY, state TEXT NOT NULL, prompt TEXT NOT NULL, extra_data TEXT NOT NULL) STRICT");
  }

  submit(prompt, extraData) {
    return new Promise((resolve) => this.#enter({ prompt, extraData, resolve }));
  }

  fetch() {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    server.send('{"type":"welcome","want_catalog":false}');
    return new Response(null, { status: 101, webSocket: client });
  }

  webSocketMessage(socket, text) {
    const frame = JSON.parse(text);
    if (frame.type === "next" || frame.type === "result") this.#enter({ socket, frame });
  }

  #enter(entry) {
    this.#entries.push(entry);
    if (this.#entries.length === 1) void this.ctx.storage.sync().finally(() => this.#decide());
  }

  #decide() {
    const entries = this.#entries;
    this.#entries = [];
    const given = [];
    this.ctx.storage.transactionSync(() => {
      for (const entry of entries) {
        if (entry.frame) this.#ask(entry);
        else this.#store(entry);
      }
      while (this.#idle.length > 0 && this.#waiting.length > 0) given.push(this.#give());
    });
    for (const { resolve, seq, socket, frame } of entries) {
      if (resolve) resolve(seq);
      else if (frame.type === "result") socket.send(JSON.stringify({ type: "result_ack", job_id: frame.job_id, attempt: 1, status: "accepted" }));
    }
    for (const { socket, seq } of given) this.#send(socket, seq);
  }

  #store(entry) {
    entry.seq = this.#one("INSERT INTO jobs (state, prompt, extra_data) VALUES ('waiting', ?, ?) RETURNING seq", entry.prompt, entry.extraData).seq;
    this.#waiting.push(entry.seq);
  }

  #ask({ socket, frame }) {
    if (frame.type === "result") this.ctx.storage.sql.exec("UPDATE jobs SET state = 'succeeded' WHERE seq = ?", Number(frame.job_id));
    if (frame.type === "next" || frame.next) this.#idle.push(socket);
  }

  #give() {
    const [socket, seq] = [this.#idle.shift(), this.#waiting.shift()];
    this.ctx.storage.sql.exec("UPDATE jobs SET state = 'running' WHERE seq = ?", seq);
    return { socket, seq };
  }

  #send(socket, seq) {
    const { prompt, extra_data } = this.#one("SELECT prompt, extra_data FROM jobs WHERE seq = ?", seq);
    socket.send(JSON.stringify({ type: "work", work: { dispatch: { job_id: String(seq), attempt: 1 }, claim: { lease_id: "l", job: { prompt_json: prompt, extra_data_json: extra_data } } } }));
  }

  webSocketClose(socket) {
    this.#idle = this.#idle.filter((one) => one !== socket);
  }

  #one(statement, ...bindings) {
    return this.ctx.storage.sql.exec(statement, ...bindings).toArray()[0];
  }
}

export default {
  async fetch(request, env) {
    const object = env.BARE.getByName("bare");
    if (request.headers.get("upgrade") !== null) return await object.fetch(request);
    const { prompt, extra_data } = JSON.parse(await request.text());
    const seq = await object.submit(JSON.stringify(prompt), JSON.stringify(extra_data));
    return new Response(JSON.stringify({ prompt_id: String(seq), number: seq, node_errors: {} }), { headers: { "content-type": "application/json" } });
  },
};
