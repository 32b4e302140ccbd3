// Opens the objects behind the edge and remembers, for seconds, what they said about who exists. Invariant: an anonymous request never wakes the object of
// a workshop that nobody created, so made-up addresses cost nothing and leave nothing behind.
import type { SeatIdentity, WorkshopRpc } from "../durable-objects/contract.ts";
import { type DirectoryEntry, openDirectory } from "../durable-objects/directory.ts";
import { BoundedMap } from "./bounded.ts";
import { logError } from "./log.ts";

export type WorkshopDoor = WorkshopRpc & { fetch(request: Request): Promise<Response> };

/** Near the GPUs: Verda's are in Finland. Counts at the very first access of an object only [CF3]. */
const LOCATION_HINT = "weur";
/** ms an isolate trusts what it heard about a seat: the longest an old password or session outlives a reset. */
export const IDENTITY_TTL_MS = 5_000;
const LISTED_TTL_MS = 30_000;
const UNLISTED_TTL_MS = 5_000;

const identities = new BoundedMap<SeatIdentity | null>(5_000);
const listings = new BoundedMap<DirectoryEntry | null>(2_000);

/** A stub broken by one error stays broken, so every request opens its own. */
export function openWorkshop(env: Env, workshop: string): WorkshopDoor {
  // The runtime's stub type wraps every answer for disposal; answers here are plain data, so the contract's own type is the honest one.
  return env.WORKSHOP.getByName(workshop, { locationHint: LOCATION_HINT }) as unknown as WorkshopDoor;
}

/** What the object says of a seat, at most `IDENTITY_TTL_MS` old; null when there is no such seat or workshop. */
export async function seatIdentity(env: Env, workshop: string, seat: string, now: number): Promise<SeatIdentity | null> {
  const key = `${workshop}/${seat}`;
  const known = identities.get(key, now);
  if (known !== undefined) return known;
  const answer = await openWorkshop(env, workshop).identity(seat);
  const identity = answer.ok ? answer.identity : null;
  identities.set(key, identity, now + IDENTITY_TTL_MS);
  return identity;
}

export function forgetIdentity(workshop: string, seat: string): void {
  identities.delete(`${workshop}/${seat}`);
}

/** The directory's entry of a workshop, at most 30 s old; null when it is not listed. */
export async function listing(env: Env, workshop: string, now: number): Promise<DirectoryEntry | null> {
  const known = listings.get(workshop, now);
  if (known !== undefined) return known;
  const entry = await openDirectory(env.DIRECTORY).find(workshop);
  listings.set(workshop, entry, now + (entry === null ? UNLISTED_TTL_MS : LISTED_TTL_MS));
  return entry;
}

export function forgetListing(workshop: string): void {
  listings.delete(workshop);
}

/** Whether an anonymous caller may be led on to this workshop. When the directory cannot answer, the workshop's own object is asked instead. */
export async function exists(env: Env, workshop: string, now: number): Promise<boolean> {
  try {
    return (await listing(env, workshop, now)) !== null;
  } catch (error) {
    logError("directory_unavailable", error, { workshop });
    return (await openWorkshop(env, workshop).health()).ok;
  }
}
