// A trace of real arrivals as CSV, `arrival_s,user,duration_s,model`, with or without that heading: rows become jobs of the simulator.
// Invariant: every row counts or the whole file is refused with the number of its line; figures never rest on a misread row.
import type { IdealJob } from "../../../test/simulators/queue/ideal.ts";
import { BenchFault } from "../fault.ts";

const HEADING = "arrival_s,user,duration_s,model";
/** Seconds; times since 1970 fit as well, and their products in ms stay below 2^53 [Q2]. */
const MOST_S = 1e10;

/** Jobs in order of arrival, rows of one moment in the order of the file. Throws BenchFault. */
export function readTrace(text: string): IdealJob[] {
  const jobs: IdealJob[] = [];
  for (const [index, line] of text.replace(/^\uFEFF/, "").split(/\r?\n/).entries()) {
    const fields = line.split(",").map((field) => field.trim());
    if (line.trim() === "" || (index === 0 && fields.join(",").toLowerCase() === HEADING)) continue;
    jobs.push(jobOf(fields, index + 1, String(jobs.length)));
  }
  if (jobs.length === 0) throw new BenchFault(`The trace has no row. Give it one line per job: ${HEADING}.`);
  return jobs.toSorted((a, b) => a.at - b.at);
}

function jobOf(fields: string[], line: number, id: string): IdealJob {
  const [arrival = "", user = "", duration = "", model = ""] = fields;
  if (fields.length !== 4) throw new BenchFault(`Line ${line} of the trace has ${fields.length === 1 ? "1 field" : `${fields.length} fields`}, not the four of ${HEADING}. Correct the line or take it out.`);
  if (user === "") throw new BenchFault(`Line ${line} of the trace names no user. Correct the line or take it out.`);
  return { id, seat: user, at: milliseconds(arrival, "arrival_s", line), ms: milliseconds(duration, "duration_s", line), signature: model };
}

function milliseconds(text: string, column: string, line: number): number {
  const seconds = /^\d+(\.\d*)?(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  if (!(seconds <= MOST_S)) throw new BenchFault(`Line ${line} of the trace: ${column} is ${text === "" ? "empty" : `"${text}"`}, and must be a number of seconds from 0 to ${MOST_S}. Correct the line or take it out.`);
  return Math.round(seconds * 1000);
}
