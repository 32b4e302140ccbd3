// The door of the pure half of a seat's prompt handling: no Hono, no I/O, the same in a Worker and in Node.
export type * from "./types.ts";
export type * from "../catalog/types.ts";
