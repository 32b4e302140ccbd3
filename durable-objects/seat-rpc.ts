// The part of the workshop object's RPC that a seat's server calls, each method handed on to the seat's door. Every method names the seat that asks.
import { DurableObject } from "cloudflare:workers";
import type { FileName, StorageType } from "../gpu-adapter/contract.ts";
import type * as door from "./contract.ts";
import { currentNotices } from "./notices.ts";
import { SeatDoor } from "./seat-door.ts";
import type { Shell } from "./shell.ts";

export abstract class SeatRpc extends DurableObject<Env> {
  readonly #shell: Shell;
  readonly #seat: SeatDoor;

  constructor(ctx: DurableObjectState, env: Env, shell: Shell) {
    super(ctx, env);
    this.#shell = shell;
    this.#seat = new SeatDoor(shell);
  }

  async submit(submit: door.Submit): Promise<door.Answer<door.Submitted>> {
    return await this.#seat.submit(submit);
  }

  queueRemaining(seat: string): number {
    return this.#seat.queueRemaining(seat);
  }

  queuePage(seat: string, ifNoneMatch: string | null, after: string | null): door.PromptPage {
    return this.#seat.queuePage(seat, ifNoneMatch, after);
  }

  historyPage(seat: string, query: { max_items: number | null; offset: number | null }, ifNoneMatch: string | null, after: string | null): door.PromptPage {
    return this.#seat.historyPage(seat, query, ifNoneMatch, after);
  }

  historyEntry(seat: string, job: string): door.Piece[] {
    return this.#seat.historyEntry(seat, job);
  }

  deleteHistory(seat: string, jobs: string[] | "all"): void {
    this.#seat.deleteHistory(seat, jobs);
  }

  jobs(seat: string, query: door.JobsQuery, ifNoneMatch: string | null): { etag: string; rows: door.JobRow[] | null; total: number } {
    return this.#seat.jobs(seat, query, ifNoneMatch);
  }

  jobDetail(seat: string, job: string): door.JobDetail | null {
    return this.#seat.jobDetail(seat, job);
  }

  cancel(seat: string, jobs: string[]): door.CancelAnswer[] {
    return this.#seat.cancel(seat, jobs);
  }

  removeWaiting(seat: string, jobs: string[] | "all"): door.CancelAnswer[] {
    return this.#seat.removeWaiting(seat, jobs);
  }

  interrupt(seat: string, job: string | null): door.CancelAnswer[] {
    return this.#seat.interrupt(seat, job);
  }

  seatPlaces(seat: string, ifNoneMatch: string | null): door.Validated {
    return this.#shell.room.places.body(seat, ifNoneMatch);
  }

  seatNotices(seat: string): object[] {
    return currentNotices(this.#shell.sql, this.#shell.engine.now(), seat);
  }

  seatLog(seat: string): { t: string; m: string }[] {
    return this.#seat.seatLog(seat);
  }

  subscribeLog(seat: string, client: string, enabled: boolean): void {
    this.#shell.logs.subscribe(seat, client, enabled);
  }

  settings(seat: string): Record<string, unknown> {
    return this.#seat.settings(seat);
  }

  putSettings(seat: string, values: Record<string, unknown>): void {
    this.#seat.putSettings(seat, values);
  }

  putInput(input: door.NewInput): door.Answer<door.InputStored> {
    return this.#seat.putInput(input);
  }

  sameUpload(seat: string, asked: door.UploadAsked): door.OpenUpload | null {
    return this.#seat.sameUpload(seat, asked);
  }

  openUpload(asked: door.NewUpload): door.Answer<{ upload: door.OpenUpload }> {
    return this.#seat.openUpload(asked);
  }

  findUpload(seat: string, upload: string): door.OpenUpload | null {
    return this.#seat.findUpload(seat, upload);
  }

  addPart(seat: string, upload: string, part: { part: number; etag: string }): boolean {
    return this.#seat.addPart(seat, upload, part);
  }

  forgetParts(seat: string, upload: string): void {
    this.#seat.forgetParts(seat, upload);
  }

  finishUpload(seat: string, upload: string, stored: { sha256: string; content_type: string }): door.Answer<door.InputStored> {
    return this.#seat.finishUpload(seat, upload, stored);
  }

  dropUpload(seat: string, upload: string): boolean {
    return this.#seat.dropUpload(seat, upload);
  }

  resolveFile(seat: string, name: FileName): door.StoredFile | null {
    return this.#seat.resolveFile(seat, name);
  }

  listFiles(seat: string, type: StorageType, subfolder: string | null): door.StoredFile[] {
    return this.#seat.listFiles(seat, type, subfolder);
  }

  once(seat: string, key: string): boolean {
    return this.#seat.once(seat, key);
  }
}
