// Ids of prompts that came without one. Invariant: a UUID as ComfyUI takes it, unguessable in its last 74 bits.

/** A UUID of version 7 (RFC 9562 5.7): time first, so that rows of one hour stand together and an index is appended to instead of written all over. */
export function mintJobId(now: number): string {
  const time = now.toString(16).padStart(12, "0");
  // Its random digits, its variant and its hyphens serve as they are; time and version take the front.
  return `${time.slice(0, 8)}-${time.slice(8)}-7${crypto.randomUUID().slice(15)}`;
}
