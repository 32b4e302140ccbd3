// Stages of an attempt that a seat is told about [G14]: only what a signal said, and only what lasts.

/** Stages shorter than this are not worth a word to the seat (ms). */
export const WORTH_SAYING_MS = 250;
