// The list of workshops: one tiny JSON value, written by operator commands only. Built on itty-durable under the rules [CF30]..[CF34]:
// no automatic persistence, mutators are synchronous and end in one `persist()`, only our own code calls it, and everything read from it is parsed.
// Losing it loses no workshop: creating a workshop again (which changes nothing in it) lists it again.
// The deep imports are deliberate: the package's main file is CommonJS and does not load everywhere [CF31].
import { createDurable } from "itty-durable/itty-durable.js";
import { proxyDurable } from "itty-durable/proxy-durable.js";
import { z } from "zod";

const entry = z.object({
  id: z.string(),
  title: z.string(),
  /** ms since the epoch. */
  created: z.int(),
  /** The number of the valid token of each pool; absent means 1. */
  tokens: z.record(z.string(), z.int()),
});
export type DirectoryEntry = z.infer<typeof entry>;

const Base = createDurable({ autoPersist: false, autoReturn: false });

/** Every own property but `state` is what itty-durable persists. Arguments travel as JSON in a header, hence the encoded title. */
export class Directory extends Base {
  workshops: Record<string, DirectoryEntry> = {};

  async enter(id: string, encodedTitle: string, created: number): Promise<DirectoryEntry> {
    const known = ownValue(this.workshops, id);
    const listed = { id, title: encodedTitle, created: known?.created ?? created, tokens: known?.tokens ?? {} };
    this.workshops[id] = listed;
    await this.persist();
    return listed;
  }

  /** Makes every earlier token of the pool invalid; the new number. */
  async renewToken(id: string, pool: string): Promise<{ version: number } | { missing: true }> {
    const known = ownValue(this.workshops, id);
    if (known === undefined) return { missing: true };
    const version = (ownValue(known.tokens, pool) ?? 1) + 1;
    known.tokens[pool] = version;
    await this.persist();
    return { version };
  }

  find(id: string): { entry: DirectoryEntry | null } {
    return { entry: ownValue(this.workshops, id) ?? null };
  }

  list(): { entries: DirectoryEntry[] } {
    return { entries: Object.values(this.workshops) };
  }
}

/** A name like `constructor` is a fine name for a workshop and must not find what every object inherits. */
function ownValue<T>(record: Record<string, T>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

function title(found: DirectoryEntry): DirectoryEntry {
  return { ...found, title: decodeURIComponent(found.title) };
}

/** What the edge may ask of the directory. Answers are parsed [CF33]; errors are thrown. Times in ms since the epoch. */
export type DirectoryDoor = {
  enter(id: string, title: string, created: number): Promise<DirectoryEntry>;
  renewToken(id: string, pool: string): Promise<number | null>;
  find(id: string): Promise<DirectoryEntry | null>;
  list(): Promise<DirectoryEntry[]>;
};

/** The proxied object itself never leaves this function: awaiting it would hang, because even `then` is a remote call [CF32]. */
export function openDirectory(namespace: Env["DIRECTORY"]): DirectoryDoor {
  const remote = (): Record<string, (...args: unknown[]) => Promise<unknown>> => proxyDurable(namespace, { name: "DIRECTORY", parse: true }).get("directory");
  const call = async (method: "enter" | "renewToken" | "find" | "list", ...args: unknown[]): Promise<unknown> => await remote()[method]?.(...args);
  return {
    enter: async (id, text, created) => title(entry.parse(await call("enter", id, encodeURIComponent(text), created))),
    renewToken: async (id, pool) => z.object({ version: z.int().optional() }).parse(await call("renewToken", id, pool)).version ?? null,
    find: async (id) => {
      const found = z.object({ entry: entry.nullable() }).parse(await call("find", id)).entry;
      return found === null ? null : title(found);
    },
    list: async () => z.object({ entries: z.array(entry) }).parse(await call("list")).entries.map(title),
  };
}
