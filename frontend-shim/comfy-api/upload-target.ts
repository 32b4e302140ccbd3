// Where an upload goes, from its form: ComfyUI's checks in its order, as values. Pure but for the one question whether a folder exists.
import { isStorageType } from "./file-names.ts";
import { normalisePath } from "./userdata-paths.ts";
import type { StorageType } from "../../gpu-adapter/contract.ts";

export type Target = {
  type: StorageType;
  /** As sent: what the answer repeats. */
  sentSubfolder: string;
  /** A folder the client put into the file name, with its slash; "" for none. */
  prefix: string;
  subfolder: string;
  filename: string;
  overwrite: boolean;
};
export type TargetAnswer = { ok: true; target: Target } | { ok: false; fault: "crash" | "bad_request" };

/** [R http-upload-view]: an unknown type, or a text where the file should be, crash the real server; the rest is a bare 400. */
export function targetOf(fields: ReadonlyMap<string, string>, filename: string | null): TargetAnswer {
  const type = fields.get("type") ?? "input";
  if (!isStorageType(type)) return { ok: false, fault: "crash" };
  if (filename === null) return { ok: false, fault: fields.has("image") ? "crash" : "bad_request" };
  const sentSubfolder = fields.get("subfolder") ?? "";
  const folder = normalisePath(sentSubfolder);
  if (filename === "" || filename.startsWith("/") || folder === null) return { ok: false, fault: "bad_request" };
  const path = normalisePath(`${folder}/${filename}`.replace(/^\//, ""));
  if (path === null || path === "" || filename.endsWith("/") || !path.isWellFormed()) return { ok: false, fault: "bad_request" };
  const cut = path.lastIndexOf("/") + 1;
  const [subfolder, name] = [path.slice(0, Math.max(0, cut - 1)), path.slice(cut)];
  // The contract's limits of a file name, in characters.
  if (name.length > 300 || subfolder.length > 500) return { ok: false, fault: "bad_request" };
  const overwrite = ["true", "1"].includes(fields.get("overwrite") ?? "");
  return { ok: true, target: { type, sentSubfolder, prefix: filename.slice(0, filename.lastIndexOf("/") + 1), subfolder, filename: name, overwrite } };
}
