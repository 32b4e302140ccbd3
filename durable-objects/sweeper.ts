// Deletes what the notes of garbage.ts allow: in small batches, by the alarm, as often as need be. Invariants: nothing is deleted that a name points to, asked
// in the same turn as the deletion leaves; a batch that breaks off is simply done again, deleting twice is deleting once.
import { type Due, dueGarbage, forgive, named, nextDue, postpone, shown } from "./garbage.ts";
import type { Sql } from "./sql.ts";
import { expireUpload, forgetAnswers } from "./upload-store.ts";

/** Notes per batch: each costs a few statements, and a job's prefix a call to the store. */
const BATCH = 40;
/** ms between two batches, and until what is still in use is looked at again. */
const BETWEEN_MS = 1000;
const IN_USE_MS = 10 * 60 * 1000;
/** ms after the first failure of the store; doubles up to an hour. */
const RETRY_MS = 60_000;
const RETRY_MOST_MS = 3600_000;

type Parts = { sql: Sql; bucket: R2Bucket; now: () => number; rearm: () => void; complain: (event: string, error: unknown) => void };

export class Sweeper {
  readonly #parts: Parts;
  #running = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** When the alarm is wanted (ms), or null. */
  wake(): number | null {
    if (this.#running) return null;
    const due = nextDue(this.#parts.sql);
    return due === null ? null : Math.max(due, this.#parts.now() + BETWEEN_MS);
  }

  /** One batch; never throws. Nothing when one is under way. */
  async run(): Promise<void> {
    if (this.#running) return;
    const { sql, now, complain, rearm } = this.#parts;
    const due = dueGarbage(sql, now(), BATCH);
    if (due.length === 0) return;
    this.#running = true;
    try {
      await this.#objects(due.filter(({ what }) => what === "object"));
      for (const one of due) {
        if (one.what === "upload") await this.#guarded([one], () => this.#upload(one));
        else if (one.what === "job") await this.#guarded([one], () => this.#job(one));
      }
      forgetAnswers(sql, now());
    } catch (error) {
      complain("sweep_failed", error);
    } finally {
      this.#running = false;
      rearm();
    }
  }

  async #objects(due: Due[]): Promise<void> {
    const { sql, bucket, now } = this.#parts;
    const free: Due[] = [];
    for (const one of due) {
      if (one.ref !== null && shown(sql, one.ref)) postpone(sql, one.key, now() + IN_USE_MS, false);
      else if (named(sql, one.key)) postpone(sql, one.key, now() + IN_USE_MS, false);
      else free.push(one);
    }
    if (free.length === 0) return;
    await this.#guarded(free, async () => {
      await bucket.delete(free.map(({ key }) => key));
      for (const { key } of free) forgive(sql, key);
    });
  }

  /** Whatever the store holds below a job that has ended and that no file of a seat points to. */
  async #job({ key: prefix, ref }: Due): Promise<void> {
    const { sql, bucket, now } = this.#parts;
    if (ref !== null && sql.all("SELECT 1 AS yes FROM jobs WHERE job = ? AND ended IS NULL", ref).length > 0) return postpone(sql, prefix, now() + IN_USE_MS, false);
    for (let cursor: string | undefined; ; ) {
      const page = await bucket.list({ prefix, ...(cursor === undefined ? {} : { cursor }) });
      const orphans = page.objects.map((object) => object.key).filter((key) => !named(sql, key));
      if (orphans.length > 0) await bucket.delete(orphans);
      if (!page.truncated) break;
      cursor = page.cursor;
    }
    forgive(sql, prefix);
  }

  async #upload({ key, ref }: Due): Promise<void> {
    const { sql, bucket, now } = this.#parts;
    const until = expireUpload(sql, key, now());
    if (until !== null) return postpone(sql, key, until, false);
    // Gone already when it was completed, or when R2 gave it up.
    if (ref !== null) await bucket.resumeMultipartUpload(key, ref).abort().catch(() => undefined);
    if (!named(sql, key)) await bucket.delete(key);
    forgive(sql, key);
  }

  async #guarded(due: Due[], work: () => Promise<void>): Promise<void> {
    const { sql, now, complain } = this.#parts;
    try {
      await work();
    } catch (error) {
      complain("sweep_delayed", error);
      for (const { key, tries } of due) postpone(sql, key, now() + Math.min(RETRY_MOST_MS, RETRY_MS * 2 ** tries), true);
    }
  }
}
