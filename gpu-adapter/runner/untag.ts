// Takes the seat tag out of the bytes of a produced file. ComfyUI's save nodes write the graph they were given into the file, tag and all; what a person
// downloads must be what their own ComfyUI would have written [G19]. PNG text is rewritten exactly; in other containers, where a length may be recorded
// anywhere, the same bytes become JSON white space. Compressed text is left alone.
import { crc32 } from "node:zlib";
import { SEAT_TAG_INPUT } from "./seat-tag.ts";

const PNG_SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** A JSON string, as it is or escaped. */
function quoted(text: string): string {
  return String.raw`\\*"${text.replaceAll(/[^\w-]/g, String.raw`\$&`)}\\*"`;
}

/** The member with one comma beside it, in JSON as it is or escaped inside another JSON text (as some video writers do). */
function member(tag: string): RegExp {
  const pair = String.raw`${quoted(SEAT_TAG_INPUT)}\s*:\s*${quoted(tag)}`;
  return new RegExp(String.raw`,\s*${pair}|${pair}\s*,\s*|${pair}`, "g");
}

/** The same bytes when the tag is not in them; else a copy without it. `bytes` is left as it is. */
export function untagged(bytes: Buffer, tag: string): Buffer {
  if (!bytes.includes(SEAT_TAG_INPUT)) return bytes;
  return bytes.subarray(0, 8).equals(PNG_SIGNATURE) ? untaggedPng(bytes, tag) : blanked(bytes, tag);
}

function untaggedPng(bytes: Buffer, tag: string): Buffer {
  const out: Buffer[] = [bytes.subarray(0, 8)];
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    const end = at + 12 + length;
    if (end > bytes.length) return bytes;
    const type = bytes.toString("latin1", at + 4, at + 8);
    const chunk = bytes.subarray(at, end);
    out.push((type === "tEXt" || type === "iTXt") && chunk.includes(SEAT_TAG_INPUT) ? rewritten(chunk, tag) : chunk);
    at = end;
  }
  return Buffer.concat(out);
}

/** latin1 keeps every byte one character, whatever the text's own encoding. */
function rewritten(chunk: Buffer, tag: string): Buffer {
  const body = Buffer.from(chunk.toString("latin1", 4, chunk.length - 4).replaceAll(member(tag), ""), "latin1");
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length - 4);
  const tail = Buffer.alloc(4);
  tail.writeUInt32BE(crc32(body));
  return Buffer.concat([head, body, tail]);
}

function blanked(bytes: Buffer, tag: string): Buffer {
  return Buffer.from(bytes.toString("latin1").replaceAll(member(tag), (found) => " ".repeat(found.length)), "latin1");
}
