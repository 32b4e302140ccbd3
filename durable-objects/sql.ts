// The two-verb interface to SQLite that the store is written against: the object's own storage in production, node:sqlite in contract tests [CF29].
// Invariant: a transaction's body is synchronous. A promise returned from it would commit and then reject too late [CF6], so the type refuses one.

/** What SQLite takes and gives here; booleans are bound as 0/1 by the caller [CF9]. */
export type SqlValue = string | number | null | ArrayBuffer;
export type SqlRow = Record<string, SqlValue>;

export interface Sql {
  /** Runs one statement and returns its rows, fully read. */
  all(statement: string, ...bindings: SqlValue[]): SqlRow[];
  /** All or nothing; nests. */
  transaction<T>(body: () => T extends Promise<unknown> ? never : T): T;
}

/** The object's own database. */
export function objectSql(storage: DurableObjectStorage): Sql {
  return {
    all: (statement, ...bindings) => storage.sql.exec<SqlRow>(statement, ...bindings).toArray(),
    transaction: (body) => storage.transactionSync(body as () => never),
  };
}

export function text(row: SqlRow, column: string): string {
  const value = row[column];
  if (typeof value !== "string") throw new Error(`column ${column} is not text`);
  return value;
}

export function textOrNull(row: SqlRow, column: string): string | null {
  const value = row[column];
  return typeof value === "string" ? value : null;
}

export function integer(row: SqlRow, column: string): number {
  const value = row[column];
  if (typeof value !== "number") throw new Error(`column ${column} is not a number`);
  return value;
}

export function integerOrNull(row: SqlRow, column: string): number | null {
  const value = row[column];
  return typeof value === "number" ? value : null;
}
