// object_info as one seat sees it: the lists of files are the seat's own, everything else is the catalog's, byte for byte. Invariant:
// only the handful of classes that list files are serialised again; the rest is spliced from pieces kept per catalog.
import { type FileInput, fileInputOf, listFor } from "./file-inputs.ts";
import { own } from "./json.ts";
import { classTexts } from "./object-info-text.ts";
import type { InputSection, InputSpec, Json, NodeInfo, ObjectInfo, SeatFiles } from "./types.ts";

/** Inputs whose list of files is in object_info; those the page fetches itself (`remote`) and recorders have none. */
function listedInputs(nodeClass: string, info: NodeInfo): ReadonlyMap<string, FileInput> {
  const found = new Map<string, FileInput>();
  for (const section of [info.input?.required, info.input?.optional]) {
    for (const [name, spec] of Object.entries(section ?? {})) {
      const file = fileInputOf(nodeClass, name, spec);
      const hasList = Array.isArray(spec[0]) || (spec[0] === "COMBO" && spec[1]?.["remote"] === undefined);
      if (file !== undefined && file.check !== "none" && hasList) found.set(name, file);
    }
  }
  return found;
}

/** Choices that are no file ("none") stay in front, as ComfyUI puts them. */
function choicesWith(old: readonly Json[], files: readonly string[]): Json[] {
  return [...old.filter((choice) => typeof choice !== "string" || !choice.includes(".")), ...files];
}

function withFiles(spec: InputSpec, files: readonly string[]): InputSpec {
  const [type, options] = spec;
  if (Array.isArray(type)) return options === undefined ? [choicesWith(type, files)] : [choicesWith(type, files), options];
  const old = options?.["options"];
  return [type, { ...options, options: choicesWith(Array.isArray(old) ? (old as readonly Json[]) : [], files) }];
}

type Patch = { readonly info: NodeInfo; readonly inputs: ReadonlyMap<string, FileInput> };

function patchSection(section: InputSection, patch: Patch, seatFiles: SeatFiles): InputSection {
  return Object.fromEntries(
    Object.entries(section).map(([name, spec]) => {
      const file = patch.inputs.get(name);
      return [name, file === undefined ? spec : withFiles(spec, listFor(file, seatFiles.inputs))];
    }),
  );
}

function patched(patch: Patch, seatFiles: SeatFiles): NodeInfo {
  const { required, optional } = patch.info.input ?? {};
  const input = {
    ...patch.info.input,
    ...(required === undefined ? {} : { required: patchSection(required, patch, seatFiles) }),
    ...(optional === undefined ? {} : { optional: patchSection(optional, patch, seatFiles) }),
  };
  return { ...patch.info, input };
}

/** Ready text and classes to fill in, in turn: the answer is `text[0] class[0] text[1] class[1] … text[n]`. */
type Template = { readonly texts: readonly string[]; readonly classes: readonly string[]; readonly patches: ReadonlyMap<string, Patch> };

const templates = new WeakMap<ObjectInfo, Template>();

function templateOf(objectInfo: ObjectInfo): Template {
  const known = templates.get(objectInfo);
  if (known !== undefined) return known;
  const patches = new Map<string, Patch>();
  const texts: string[] = [];
  let text = "{";
  let separator = "";
  for (const [name, raw] of classTexts(objectInfo)) {
    const info = own(objectInfo, name);
    const inputs = info === undefined ? undefined : listedInputs(name, info);
    text += `${separator}${JSON.stringify(name)}:`;
    separator = ",";
    if (info === undefined || inputs === undefined || inputs.size === 0) {
      text += raw;
    } else {
      texts.push(text);
      patches.set(name, { info, inputs });
      text = "";
    }
  }
  texts.push(`${text}}`);
  const template = { texts, classes: [...patches.keys()], patches };
  templates.set(objectInfo, template);
  return template;
}

/** `GET /object_info` of one seat as JSON text. */
export function seatObjectInfo(objectInfo: ObjectInfo, seatFiles: SeatFiles): string {
  const { texts, classes, patches } = templateOf(objectInfo);
  const pieces: string[] = [];
  texts.forEach((text, index) => {
    pieces.push(text);
    const patch = patches.get(classes[index] ?? "");
    if (index < classes.length && patch !== undefined) pieces.push(JSON.stringify(patched(patch, seatFiles)));
  });
  return pieces.join("");
}

/** `GET /object_info/{class}` of one seat as JSON text; `{}` for a class the catalog does not have. */
export function seatNodeInfo(objectInfo: ObjectInfo, seatFiles: SeatFiles, nodeClass: string): string {
  const raw = own(objectInfo, nodeClass) === undefined ? undefined : classTexts(objectInfo).get(nodeClass);
  if (raw === undefined) return "{}";
  const patch = templateOf(objectInfo).patches.get(nodeClass);
  return `{${JSON.stringify(nodeClass)}:${patch === undefined ? raw : JSON.stringify(patched(patch, seatFiles))}}`;
}

/** What of the seat's files shows in its object_info: hash it with the catalog's digest for an ETag, without building the answer. */
export function seatObjectInfoKey(objectInfo: ObjectInfo, seatFiles: SeatFiles): string {
  const lists = new Map<string, FileInput>();
  for (const patch of templateOf(objectInfo).patches.values()) {
    for (const file of patch.inputs.values()) lists.set(`${file.folder}/${file.kind}`, file);
  }
  return JSON.stringify([...lists].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, file]) => [name, listFor(file, seatFiles.inputs)]));
}
