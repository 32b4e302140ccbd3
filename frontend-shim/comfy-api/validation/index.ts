// The door of the pure half of a seat's prompt handling: no Hono, no I/O, the same in a Worker and in Node.
export type * from "../catalog/types.ts";
export { parseJson, stringifyJson } from "../catalog/json.ts";
export type * from "./types.ts";
export { SERVER_ERROR_TEXT, validatePrompt, vocabularyOf } from "./validate-prompt.ts";
export { describeJob } from "./describe-job.ts";
export { contentName, fileKey, findInputFiles, type InputFileReference, rewriteInputFiles } from "./input-files.ts";
