// What the routes work on: the parts of one sandbox.

import type { Control } from "./control.ts";
import type { Folders } from "./folders.ts";
import type { Log } from "./log.ts";
import type { PromptQueue } from "./queue.ts";
import type { Sockets } from "./sockets.ts";

export interface Server {
  readonly folders: Folders;
  readonly control: Control;
  readonly log: Log;
  readonly queue: PromptQueue;
  readonly sockets: Sockets;
}
