// Verda batch jobs ([G] 1.7): the same asynchronous exchange on the tasks host, one fresh replica per job, no scaling to steer and no restart.
// For video and very long runs, where a scale-down in the middle would cost more than a cold start each time.
import { type Controlled, type Control, type OpenProvider, UNSUPPORTED } from "../port.ts";
import { Verda, type VerdaKind } from "./verda.ts";

const BATCH: VerdaKind = { who: "Verda (batch)", collection: "/job-deployments" };

class VerdaBatch extends Verda {
  override async control(control: Control): Promise<Controlled> {
    return control.action === "scale" || control.action === "restart" ? UNSUPPORTED : await super.control(control);
  }
}

export const openVerdaBatch: OpenProvider = (parts) => new VerdaBatch(parts, BATCH);
