// Which provider a pool's name means. `pull` is none: its runners come by themselves (durable-objects/runner-hall.ts).
import type { OpenProvider } from "../port.ts";
import { openLocal } from "./local.ts";
import { openModal } from "./modal.ts";
import { openRunpod } from "./runpod.ts";
import { openVerda } from "./verda.ts";
import { openVerdaBatch } from "./verda-batch.ts";

export type ProviderName = "local" | "verda" | "verda-batch" | "runpod" | "modal";

export const PROVIDERS: Record<ProviderName, OpenProvider> = { local: openLocal, verda: openVerda, "verda-batch": openVerdaBatch, runpod: openRunpod, modal: openModal };
