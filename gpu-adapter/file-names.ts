// Files inside a node's output, and the two halves of their names: what ComfyUI called them, what the seat knows them by ([G20], [G22]). Pure.

const MODEL_FILE = /\.(?:safetensors|sft|ckpt|pth?|pt2|bin|gguf|onnx|engine|pkl|msgpack|npz)$/i;

/** True when a value names a model file, by its ending. */
export function isModelFile(value: unknown): value is string {
  return typeof value === "string" && MODEL_FILE.test(value);
}

/** `<stem>_<digits><tail>`: `take_00007_.png` is stem `take`, digits `00007`, tail `_.png`. */
export type LocalName = { stem: string; digits: string; tail: string };

const COUNTER = /^(.*)_(\d{5,})(?!\d)(.*)$/s;

/** Splits a counter name at its last run of five or more digits after an underscore; null when there is none. */
export function parseLocalName(filename: string): LocalName | null {
  const match = COUNTER.exec(filename);
  if (!match) return null;
  const [, stem = "", digits = "", tail = ""] = match;
  return { stem, digits, tail };
}

/** The seat's name for the file that is `counter`th of its stem: at least five digits, as ComfyUI writes them. */
export function finalName(stem: string, counter: number, tail: string): string {
  return `${stem}_${String(counter).padStart(5, "0")}${tail}`;
}

export type NamedFile = { filename: string; subfolder: string; type: string };

function asFile(value: Record<string, unknown>): NamedFile | null {
  const { filename, type = "output" } = value;
  const subfolder = value.subfolder ?? "";
  if (typeof filename !== "string" || filename === "" || typeof subfolder !== "string" || typeof type !== "string") return null;
  return ["output", "temp", "input"].includes(type) ? { filename, subfolder, type } : null;
}

/**
 * A copy of a node's output in which every file object, anywhere under any key, has the name that `rename` gives it; null keeps the name.
 * `fullpath`, a path on the GPU's disk, is dropped; everything else stays as and where it is.
 */
export function renameOutputFiles<T>(output: T, rename: (file: NamedFile) => NamedFile | null): T {
  if (Array.isArray(output)) return output.map((entry) => renameOutputFiles(entry, rename)) as T;
  if (output === null || typeof output !== "object") return output;
  const record = output as Record<string, unknown>;
  const file = asFile(record);
  const renamed = file ? rename(file) : null;
  const entries = Object.entries(record)
    .filter(([key]) => !(file && key === "fullpath"))
    .map(([key, value]): [string, unknown] => (renamed && key in renamed ? [key, renamed[key as keyof NamedFile]] : [key, renameOutputFiles(value, rename)]));
  return Object.fromEntries(entries) as T;
}
