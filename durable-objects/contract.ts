// The door of a workshop object: what the edge may ask of it and what it answers. Plain data only (structured clone), refusals are values [CF16],
// and shapes stay compatible one version both ways because a new Worker may meet an old object after a deploy [CF4].
// Bodies that travel on to a client unchanged are JSON *strings*, made once in the object: no clone, no second serialisation.
import type { CatalogReport, ClaimAnswer, ClaimRequest, CommitRequest, FileName, RunnerEvent, RunnerStage, RunResult, StorageType, UploadFile, Work } from "../gpu-adapter/contract.ts";
import type { PoolProvider, PoolSettings } from "../gpu-adapter/pool-settings.ts";

/** Every reason a workshop may say no; `workers/errors.ts` turns each into HTTP in one exhaustive switch. */
export type RefusalReason =
  | "no_such_workshop" | "no_such_seat" | "exists" | "bad_request" | "forbidden" | "not_found"
  | "idempotency_conflict" | "id_taken" | "not_admitting" | "payload_too_large" | "invalid_prompt" | "unknown_node" | "unknown_model" | "input_missing"
  | "seat_queue_full" | "queue_full" | "budget_exhausted" | "illegal_transition" | "unknown_mode"
  | "duplicate" | "superseded" | "finished" | "quarantined" | "gone" | "stale" | "conflict";

export type Refusal = { ok: false; reason: RefusalReason; message: string; retry_after_s?: number; limit?: number; current?: number; details?: Record<string, unknown> };
export type Ok<T> = { ok: true } & T;
export type Answer<T> = Ok<T> | Refusal;

export type Role = "participant" | "instructor";

// ---- provisioning (operator) and identity ---------------------------------------------------------------------------------------
export type SeatCredential = { seat: string; role: Role; /** base64url, 16 random bytes */ salt: string; /** base64url SHA-256 of salt bytes then password (UTF-8) */ hash: string };
/** Waiting jobs allowed: per seat, in all, and the floor every seat keeps when the whole is full [Q13]. */
export type Limits = { seat_max?: number; queue_max?: number; seat_floor?: number };
export type WorkshopSetup = { workshop: string; title: string; seats: SeatCredential[]; pools: PoolSetup[]; limits?: Limits; /** Where this server is reached from outside, `https://host`; dispatches name it as the way back [G5]. */ origin?: string; /** Slots of the whole chain [Q38]; by default as many as its pools have together. */ slots?: number };
/** `pull`: runners dial in. Times in ms, rate in micro-units of the workshop's currency per hour. */
export type PoolSetup = { id: string; provider: PoolProvider; max_in_flight: number; lease_ms?: number; claim_ms?: number; rate?: number; speed?: number } & PoolSettings;
/** What login and Basic need; `version` rises with each new password, so old cookies die. */
export type SeatIdentity = SeatCredential & { version: number };

// ---- submit ---------------------------------------------------------------------------------------------------------------------
export type InputRef = { /** content name in the graph that runs */ name: string; /** the seat's own path, `subfolder/name`, for names that come back in outputs */ original?: string; key: string; sha256: string; size: number };
export type Submit = {
  seat: string;
  /** A UUID: the caller's `prompt_id`, or one the edge made. `minted` tells which. */
  job: string;
  minted: boolean;
  idempotency_key?: string;
  /** Hex SHA-256 of the canonical body [Q14]. */
  body_hash: string;
  /** Bytes of the request body. */
  bytes: number;
  client_id: string | null;
  front: boolean;
  background: boolean;
  /** JSON texts as ComfyUI would store them (coerced values, original file names). Over 1 MiB together: `prompt_key` names the R2 object instead [CF8]. */
  prompt_json: string;
  extra_data_json: string;
  /** The prompt with content names for files, when it differs; what the runner gets. */
  run_prompt_json?: string;
  /** R2 object `{prompt, extra_data, run_prompt}` when too large for a row. */
  prompt_key?: string;
  outputs_to_execute: string[];
  partial: boolean;
  inputs: InputRef[];
  model_signature: string;
  timing_signature: string;
  output_kind: "image" | "audio" | "video" | "3d" | "other";
  requires: { nodes: string[]; models: string[] };
  workflow_id: string | null;
};
export type Submitted = { job: string; /** ComfyUI's `number` [Q14] */ number: number; repeated: boolean };

// ---- views of one seat --------------------------------------------------------------------------------------------------------------
export type JobState = "waiting" | "dispatched" | "running" | "stopping" | "succeeded" | "failed" | "cancelled";
/** One light row for the jobs listing; JSON members are texts. Times ms. */
export type JobRow = {
  job: string; number: number; state: JobState; created: number; started: number | null; ended: number | null;
  outputs_json: string; error_json: string | null; workflow_id: string | null; /** ran at least once, so ComfyUI would have a history entry */ in_history: boolean;
  /** Of a live job: JSON text of its place and times. */ queue_json?: string;
};
export type JobsQuery = { states: JobState[] | null; workflow_id: string | null; sort_by: "created_at" | "execution_duration"; descending: boolean; limit: number | null; offset: number };
export type JobDetail = JobRow & { /** JSON text of the history `status` object, null while live */ status_json: string | null; prompt_json: string; extra_data_json: string; /** set when the texts are in R2 */ prompt_key: string | null; outputs_to_execute: string[] };
/** `body` is complete JSON; `etag` a strong validator (with quotes) that changes when the body would. `body` is null when `if_none_match` still holds. */
export type Validated = { etag: string; body: string | null };
/** What a large body is made of, in order. A hole is a prompt that stands in the bucket: there belong its `prompt, extra_data`, the latter with `create_time` (ms). */
export type Piece = string | { prompt_key: string; created: number };
/** A body in pages. `pieces` null when `if_none_match` still holds; `next` fetches the following page, null after the last. */
export type PromptPage = { etag: string; pieces: Piece[] | null; next: string | null };
export type CancelAnswer = "removed_waiting" | "stopping" | "already_finished" | "not_found";

// ---- files ----------------------------------------------------------------------------------------------------------------------------
export type StoredFile = { file_id: string; type: StorageType; subfolder: string; filename: string; key: string; size: number; sha256: string; content_type: string; created: number };
export type NewInput = { seat: string; type: StorageType; subfolder: string; filename: string; overwrite: boolean; key: string; size: number; sha256: string; content_type: string };
/** `kept` false: the same bytes stand there already (or won), the object under `key` of the request may be deleted. `replaced` is the key an overwrite freed. */
export type InputStored = { file: StoredFile; kept: boolean; replaced: string | null };

/** A file that is going to arrive in parts. `sha256` null: it was not said, so the upload cannot be found again by its content. */
export type UploadAsked = { type: StorageType; subfolder: string; filename: string; overwrite: boolean; size: number; sha256: string | null };
/** `upload` and `key` made by the edge, `r2_upload` by the store. Bytes of a part: all are of that size but the last. */
export type NewUpload = UploadAsked & { seat: string; upload: string; part_bytes: number; key: string; r2_upload: string };
/** `present`: parts the store has, in order. `done`: the file it became. */
export type OpenUpload = Omit<NewUpload, "seat"> & { present: { part: number; etag: string }[]; done: StoredFile | null };

// ---- runners ----------------------------------------------------------------------------------------------------------------------------
export type AttemptRef = { job: string; attempt: number };
export type UploadGrant = { seat: string; /** final R2 keys in the order asked */ keys: string[] };
export type CommitFile = UploadFile & { key: string };

/** The digest of the catalog each pool speaks for, most recent report first. */
export type PoolCatalog = { pool: string; digest: string; reported: number };

/** `stage`: how far it has come since its start, null when it did not say; `missing`: required there and not found; `says`: both, or what it does, in words. */
export type RunnerLine = { id: string; pool: string; busy: boolean; stage: RunnerStage | null; missing: string[]; says: string; gpu: string | null; comfyui: string | null; last_seen: number };

/** What the shell pushes to the health page; nothing secret. */
export type Health = {
  workshop: string; revision: number; mode: string; switches: "open" | "paused" | "draining" | "closed";
  jobs: { waiting: number; live: number; ended: number };
  runners: RunnerLine[];
  seats: number; sockets: number;
};

/** All RPC methods of a workshop object. A method that names a seat answers `no_such_seat` when there is none. */
export interface WorkshopRpc {
  // operator
  create(setup: WorkshopSetup): Promise<Answer<{ created: boolean }>>;
  putSeats(seats: SeatCredential[]): Promise<Answer<{ added: string[]; changed: string[] }>>;
  putPool(pool: PoolSetup, origin?: string): Promise<Answer<{}>>;
  /** What a pool's machines check dispatches with [G8], lower-case hex; the pool need not be set up yet, since its image is made first. */
  poolKey(pool: string, shared?: string): Promise<Answer<{ key: string }>>;
  seatIds(): Promise<Answer<{ title: string; seats: { seat: string; role: Role }[] }>>;
  health(): Promise<Answer<{ health: Health }>>;
  identity(seat: string): Promise<Answer<{ identity: SeatIdentity }>>;
  /** Lines of the event log from a base on, or after a revision; the first page has cursor null. */
  logPage(since: number, cursor: string | null): Promise<Answer<{ lines: string; next: string | null }>>;

  // a seat's prompts
  submit(submit: Submit): Promise<Answer<Submitted>>;
  queueRemaining(seat: string): Promise<number>;
  /** Not `queue`: the runtime keeps that name for queue consumers, and no RPC reaches a method of it. */
  queuePage(seat: string, ifNoneMatch: string | null, after: string | null): Promise<PromptPage>;
  historyPage(seat: string, query: { max_items: number | null; offset: number | null }, ifNoneMatch: string | null, after: string | null): Promise<PromptPage>;
  historyEntry(seat: string, job: string): Promise<Piece[]>;
  deleteHistory(seat: string, jobs: string[] | "all"): Promise<void>;
  /** Fewer rows than asked for when they would be too much for one call: ask on from there. */
  jobs(seat: string, query: JobsQuery, ifNoneMatch: string | null): Promise<{ etag: string; rows: JobRow[] | null; total: number }>;
  jobDetail(seat: string, job: string): Promise<JobDetail | null>;
  cancel(seat: string, jobs: string[]): Promise<CancelAnswer[]>;
  /** `POST /queue`: waiting and dispatched jobs only; running ones are untouched [Q62]. */
  removeWaiting(seat: string, jobs: string[] | "all"): Promise<CancelAnswer[]>;
  /** Own running jobs only: the one named, or all [Q62]. */
  interrupt(seat: string, job: string | null): Promise<CancelAnswer[]>;
  /** Where the seat's live jobs stand, as `comfyume_queue` says it. */
  seatPlaces(seat: string, ifNoneMatch: string | null): Promise<Validated>;
  /** What was announced and still holds. */
  seatNotices(seat: string): Promise<object[]>;
  seatLog(seat: string): Promise<{ t: string; m: string }[]>;
  /** Whether this client's sockets hear the log's lines as they come. */
  subscribeLog(seat: string, client: string, enabled: boolean): Promise<void>;

  // a seat's settings and files
  settings(seat: string): Promise<Record<string, unknown>>;
  putSettings(seat: string, values: Record<string, unknown>): Promise<void>;
  putInput(input: NewInput): Promise<Answer<InputStored>>;
  /** An unfinished upload of the very same file (name and checksum), to be gone on with. */
  sameUpload(seat: string, asked: UploadAsked): Promise<OpenUpload | null>;
  /** May answer another upload than the one asked for: of the same file, opened meanwhile. */
  openUpload(asked: NewUpload): Promise<Answer<{ upload: OpenUpload }>>;
  findUpload(seat: string, upload: string): Promise<OpenUpload | null>;
  /** After the store has the part; false when the upload is over. */
  addPart(seat: string, upload: string, part: { part: number; etag: string }): Promise<boolean>;
  /** The store does not know the parts any more. */
  forgetParts(seat: string, upload: string): Promise<void>;
  /** Gives the whole its name, once; `sha256` of the stored bytes. A repeat answers the same. */
  finishUpload(seat: string, upload: string, stored: { sha256: string; content_type: string }): Promise<Answer<InputStored>>;
  dropUpload(seat: string, upload: string): Promise<boolean>;
  /** null: no such file of this seat. */
  resolveFile(seat: string, name: FileName): Promise<StoredFile | null>;
  /** Of one type; `subfolder` null lists all. Newest first. */
  listFiles(seat: string, type: StorageType, subfolder: string | null): Promise<StoredFile[]>;
  /** True exactly once per seat and key: the caller then does the thing (the starter workflow). */
  once(seat: string, key: string): Promise<boolean>;

  // catalog
  /** `offers`: capability keys of the report, `n:` node classes and `m:` model names [Q41]. */
  setCatalog(pool: string, digest: string, summary: { comfyui_version: string; offers?: string[] }): Promise<void>;
  catalogs(): Promise<PoolCatalog[]>;
  /** The catalog that the holder of an attempt announced at its claim and nobody has reported yet; null when there is none. */
  expectedCatalog(ref: AttemptRef): Promise<{ pool: string; digest: string } | null>;

  // runners; tokens are verified at the edge, leases here
  claim(ref: AttemptRef, claim: ClaimRequest, base_url: string): Promise<Answer<{ claim: ClaimAnswer }>>;
  /** HTTP transport of events; the answer tells whether to stop. */
  events(ref: AttemptRef, lease: string, events: RunnerEvent[], preview: { seq: number; frame: ArrayBuffer } | null): Promise<Answer<{ ack: number; cancel: boolean; lease_ttl_s: number }>>;
  grantUploads(ref: AttemptRef, lease: string, files: UploadFile[]): Promise<Answer<UploadGrant>>;
  /** The edge has checked that every object is there with that size and checksum. */
  commitFiles(ref: AttemptRef, lease: string, files: CommitFile[]): Promise<Answer<{ files: (FileName & { file_id: string })[] }>>;
  result(ref: AttemptRef, result: RunResult): Promise<Answer<{ status: "accepted" | "already" }>>;
  /** Long poll of pull mode; answers within `wait_ms`. */
  next(pool: string, request: { runner: ClaimRequest["runner"]; catalog_digest?: string; wait_ms: number; base_url: string }): Promise<Answer<{ work: Work | null; want_catalog: boolean }>>;
}

/** What a page lays its log panel out by; there is no terminal behind a seat's log. */
export const LOG_TERMINAL = { cols: 120, rows: 40 } as const;

/** Headers with which the edge hands an authenticated upgrade to `fetch()` of the object; any such header from outside is dropped at the edge. */
export const SOCKET_HEADERS = { kind: "x-cm-socket", seat: "x-cm-seat", client: "x-cm-client", pool: "x-cm-pool", job: "x-cm-job", attempt: "x-cm-attempt", origin: "x-cm-origin", since: "x-cm-since" } as const;
export type SocketKind = "seat" | "runner" | "attempt" | "dashboard";

export type { CatalogReport, CommitRequest };
