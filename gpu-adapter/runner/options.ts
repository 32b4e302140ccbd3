// The command line, parsed once: flags first, then the environment, then what fits most boxes. Every refusal says which flag and what it wants.
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

/** `runpod` and `modal` are `http` behind those providers' shims: on this machine's own address only, and the platform is told. */
export type Mode = "pull" | "http" | "http-once" | "runpod" | "modal" | "check";
export type Options = {
  mode: Mode;
  /** `https://host/runner/v1/{workshop}`; pull only. */
  platform: string;
  pool: string;
  /** The pool's token; pull only. Never logged. */
  token: string;
  comfy: string;
  workDir: string;
  folders: { input?: string; output?: string; temp?: string };
  /** Starts and supervises ComfyUI with this command line. */
  comfyCmd: string | null;
  /** Restart ComfyUI after this many jobs; 0 = never. */
  restartAfter: number;
  /** An idle supervised ComfyUI that answers nothing for this long (s) hangs, and is started anew. */
  hangAfter: number;
  host: string;
  port: number;
  /** Key that dispatches are signed with; http modes only. Never logged. */
  dispatchKey: string;
  /** Origins a dispatch may name as its callback [G9]. */
  allowedOrigins: string[];
  requiredNodes: string[];
  requiredModels: string[];
  /** What the provider calls this machine, and which image it runs. */
  about: { provider_ref?: string; image_digest?: string };
};

export class OptionError extends Error {}

const MODES: readonly string[] = ["pull", "http", "http-once", "runpod", "modal", "check"] satisfies Mode[];
export const USAGE = `usage: node runner.mjs pull      --platform https://HOST/runner/v1/WORKSHOP --pool POOL [--comfy http://127.0.0.1:8188]
       node runner.mjs http      [--port 8189] --allow-origin https://HOST
       node runner.mjs http-once [--port 8189] --allow-origin https://HOST        (runpod, modal: the same behind their shims)
       node runner.mjs --check   [--comfy http://127.0.0.1:8188]
Secrets come from the environment: COMFYUME_TOKEN (pull: the pool's token), COMFYUME_DISPATCH_KEY (http: signature key).
  --comfy-cmd "python main.py --listen 127.0.0.1 --port 8188"   start and supervise ComfyUI       (COMFYUME_COMFY_CMD)
  --restart-after N        restart a supervised ComfyUI after N jobs                    (COMFYUME_RESTART_AFTER)
  --hang-after SECONDS     restart it when it is idle and answers nothing for so long; 60 unless given  (COMFYUME_HANG_AFTER)
  --input-dir, --output-dir, --temp-dir DIR   ComfyUI's folders, when they are on this disk (COMFYUME_INPUT_DIR, ...)
  --work-dir DIR           cache and spool                                              (COMFYUME_WORK_DIR)
  --require-node CLASS, --require-model FOLDER/NAME   not ready without it (repeatable; COMFYUME_REQUIRE_NODES, _MODELS: commas)`;

const FLAGS = {
  platform: { type: "string" }, pool: { type: "string" }, token: { type: "string" }, comfy: { type: "string" }, "work-dir": { type: "string" }, "input-dir": { type: "string" }, "output-dir": { type: "string" },
  "temp-dir": { type: "string" }, "comfy-cmd": { type: "string" }, "restart-after": { type: "string" }, "hang-after": { type: "string" }, host: { type: "string" }, port: { type: "string" }, "allow-origin": { type: "string", multiple: true },
  "require-node": { type: "string", multiple: true }, "require-model": { type: "string", multiple: true }, check: { type: "boolean" }, help: { type: "boolean" },
} as const;

type Env = Record<string, string | undefined>;

function url(flag: string, value: string): string {
  try {
    const parsed = new URL(value);
    if (parsed.protocol === "http:" || parsed.protocol === "https:") return value.replace(/\/+$/, "");
  } catch {
    // Said below.
  }
  throw new OptionError(`--${flag} wants an http(s) address, not "${value}".`);
}

function wholeNumber(flag: string, value: string, most: number, least = 0): number {
  const number = Number(value);
  if (value.trim() === "" || !Number.isInteger(number) || number < least || number > most) throw new OptionError(`--${flag} wants a whole number from ${least} to ${most}, not "${value}".`);
  return number;
}

/** Options from arguments (without node and script) and environment; throws OptionError with a sentence for the person at the terminal. */
export function readOptions(args: readonly string[], env: Env): Options {
  let parsed: ReturnType<typeof parseArgs<{ options: typeof FLAGS; allowPositionals: true }>>;
  try {
    parsed = parseArgs({ args: [...args], options: FLAGS, allowPositionals: true });
  } catch (error) {
    throw new OptionError(error instanceof Error ? error.message : String(error));
  }
  const { values, positionals } = parsed;
  const text = (flag: keyof typeof FLAGS, fallback: string): string => {
    const given = values[flag];
    return (typeof given === "string" ? given : undefined) ?? (env[`COMFYUME_${flag.replaceAll("-", "_").toUpperCase()}`] || fallback);
  };
  const list = (flag: "allow-origin" | "require-node" | "require-model", variable: string): string[] => values[flag] ?? (env[variable] ?? "").split(",").map((item) => item.trim()).filter((item) => item !== "");
  const mode = values.check === true ? "check" : (positionals[0] ?? env.COMFYUME_MODE ?? "");
  if (values.help === true || positionals.length > 1 || !MODES.includes(mode)) throw new OptionError(USAGE);
  const platform = mode === "pull" ? url("platform", text("platform", "")) : "";
  // The environment is preferred: a token among the arguments shows in every process list.
  const token = env.COMFYUME_TOKEN || text("token", "");
  if (mode === "pull" && token === "") throw new OptionError("No token. Set COMFYUME_TOKEN to the pool's token, which the operator gets from `npm run workshop -- pool token`.");
  const dispatchKey = env.COMFYUME_DISPATCH_KEY ?? "";
  const allowedOrigins = list("allow-origin", "COMFYUME_ALLOW_ORIGINS").map((origin) => new URL(url("allow-origin", origin)).origin);
  const listens = mode !== "pull" && mode !== "check";
  if (listens && dispatchKey === "") throw new OptionError("No signature key. Set COMFYUME_DISPATCH_KEY to the key of this runner's pool; without it anybody could hand over jobs.");
  if (listens && allowedOrigins.length === 0) throw new OptionError("No platform to call back. Name it: --allow-origin https://HOST (repeatable; COMFYUME_ALLOW_ORIGINS: commas).");
  const optional = (flag: "input-dir" | "output-dir" | "temp-dir", key: "input" | "output" | "temp"): Options["folders"] => (text(flag, "") === "" ? {} : { [key]: text(flag, "") });
  const comfyCmd = text("comfy-cmd", "");
  return {
    mode: mode as Mode,
    platform,
    pool: text("pool", "local"),
    token,
    comfy: url("comfy", text("comfy", "http://127.0.0.1:8188")),
    workDir: text("work-dir", join(tmpdir(), "comfyume-runner")),
    folders: { ...optional("input-dir", "input"), ...optional("output-dir", "output"), ...optional("temp-dir", "temp") },
    comfyCmd: comfyCmd === "" ? null : comfyCmd,
    restartAfter: wholeNumber("restart-after", text("restart-after", "0"), 1_000_000),
    hangAfter: wholeNumber("hang-after", text("hang-after", "60"), 86_400, 1),
    host: text("host", mode === "runpod" || mode === "modal" ? "127.0.0.1" : "0.0.0.0"),
    port: wholeNumber("port", text("port", "8189"), 65_535),
    dispatchKey,
    allowedOrigins,
    requiredNodes: list("require-node", "COMFYUME_REQUIRE_NODES"),
    requiredModels: list("require-model", "COMFYUME_REQUIRE_MODELS"),
    about: { ...(env.COMFYUME_PROVIDER_REF ? { provider_ref: env.COMFYUME_PROVIDER_REF } : {}), ...(env.COMFYUME_IMAGE_DIGEST ? { image_digest: env.COMFYUME_IMAGE_DIGEST } : {}) },
  };
}
