// The tables of a new workshop object, for parts of it that are tested alone.
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { objectSql, type Sql } from "../../durable-objects/sql.ts";

export async function withSql(body: (sql: Sql) => Promise<void> | void): Promise<void> {
  await runInDurableObject(env.WORKSHOP.getByName(`tables-${crypto.randomUUID()}`), async (_, state) => await body(objectSql(state.storage)));
}
