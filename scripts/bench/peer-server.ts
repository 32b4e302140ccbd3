// The HTTP server of the peer, a process of its own as the product's is: `node peer-server.ts REDIS_PORT QUEUE bare|whole`, prints its port.
// bare: parses the body and adds it, as such systems do. whole: what the product's submit does before its commit, with the product's own code
// (the session in the cookie, the prompt against a real object_info, what the queue must know of it), then adds it.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Queue } from "bullmq";
import { loadCatalog } from "../../frontend-shim/comfy-api/catalog/index.ts";
import { describeJob, parseJson, validatePrompt } from "../../frontend-shim/comfy-api/validation/index.ts";
import { readCookies, verifySession } from "../../workers/auth/session.ts";
import { catalogReport, SESSION_SECRET } from "./workload.ts";

type Submit = (request: IncomingMessage, body: string) => Promise<{ status: number; answer: object }>;

const [redisPort, name, kind] = process.argv.slice(2);
const queue = new Queue(name ?? "", { connection: { host: "127.0.0.1", port: Number(redisPort) } });

const bare: Submit = async (_request, body) => {
  const job = await queue.add("prompt", JSON.parse(body) as object, { removeOnComplete: true });
  return { status: 200, answer: { prompt_id: job.id } };
};

async function whole(): Promise<Submit> {
  const catalog = loadCatalog(JSON.stringify(await catalogReport()));
  return async (request, body) => {
    const [cookie] = readCookies(request.headers.cookie ?? null);
    const session = cookie === undefined ? null : verifySession(SESSION_SECRET, cookie[1], Date.now());
    if (session === null) return { status: 401, answer: {} };
    const verdict = validatePrompt(parseJson(body), { catalog, seatFiles: { inputs: [], exists: () => false } });
    if (!verdict.ok) return { status: 400, answer: verdict };
    const { prompt, extraData, outputsToExecute, nodeErrors } = verdict;
    const job = await queue.add("prompt", { seat: session.seat, prompt, extraData, outputsToExecute, ...describeJob(prompt, catalog, outputsToExecute) }, { removeOnComplete: true });
    return { status: 200, answer: { prompt_id: job.id, number: Number(job.id), node_errors: nodeErrors } };
  };
}

function serve(submit: Submit, request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    submit(request, Buffer.concat(chunks).toString()).then(
      ({ status, answer }) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer)),
      (error: Error) => response.writeHead(500).end(error.message),
    );
  });
}

await queue.waitUntilReady();
const submit = kind === "whole" ? await whole() : bare;
const server = createServer((request, response) => serve(submit, request, response));
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  process.stdout.write(`${address !== null && typeof address === "object" ? address.port : 0}\n`);
});
process.on("SIGTERM", () => process.exit(0));
