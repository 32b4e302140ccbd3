// What one job may store [G12]: a run that makes more is stopped where it does, and its seat is told what happened, what it means and what to do.
import { mkdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { colourGraph } from "../../e2e/support/seat-client.ts";
import { type BoxRoom, failureOf, openBoxRoom } from "./support/box-room.ts";
import { outputFolder, textGraph, writtenLater } from "./support/large-file.ts";
import type { RunnerProcess } from "./support/runner-process.ts";

const GIB = 1024 ** 3;
let box: BoxRoom;
let runner: RunnerProcess;
beforeAll(async () => {
  box = await openBoxRoom();
  mkdirSync(outputFolder(box.room), { recursive: true });
  runner = box.start(["--output-dir", outputFolder(box.room)]);
  await runner.ready();
});
afterAll(async () => {
  await box?.end();
});

async function refused(seat: number, graph: Record<string, unknown>): Promise<Record<string, unknown>> {
  const client = box.room.client(seat);
  box.weather.clear();
  const job = await client.submit(graph);
  const entry = await client.ended(job);
  expect(entry.status.status_str).toBe("error");
  expect(await runner.logged("job_done", (line) => line.job === job)).toMatchObject({ status: "failed", code: "node_error" });
  // Not one byte went up, no name was shown, and nobody tried again: the same graph would come to the same end.
  expect(box.weather.count(/\/uploads/)).toBe(0);
  expect(Object.values(entry.outputs).flatMap((output) => output.images ?? [])).toEqual([]);
  expect(runner.lines.filter(({ event, job: of }) => event === "run_started" && of === job)).toHaveLength(1);
  return failureOf(entry);
}

async function stillWorks(seat: number, colour: number): Promise<void> {
  const client = box.room.client(seat);
  expect((await client.ended(await client.submit(colourGraph(colour, "fits")))).outputs["2"]?.images).toHaveLength(1);
}

describe("more than one job may store", () => {
  test("[G12] `max_files`: a batch of 1001 pictures fails at the node that saves it", async () => {
    const error = await refused(1, { "1": { class_type: "EmptyImage", inputs: { width: 8, height: 8, batch_size: 1001, color: 3 } }, "2": { class_type: "SaveImage", inputs: { images: ["1", 0], filename_prefix: "crowd" } } });
    expect(error).toMatchObject({ node_id: "2", exception_type: "OutputLimit", exception_message: expect.stringMatching(/^The run made more than 1000 files.*not kept\. Make fewer files in one run/) as string });
    await stillWorks(1, 0x515151);
  });

  test("[G12] `max_files`: a batch of a thousand is stored", async () => {
    const client = box.room.client(2);
    const entry = await client.ended(await client.submit({ "1": { class_type: "EmptyImage", inputs: { width: 8, height: 8, batch_size: 1000, color: 4 } }, "2": { class_type: "SaveImage", inputs: { images: ["1", 0], filename_prefix: "thousand" } } }), 110);
    expect(entry.outputs["2"]?.images).toHaveLength(1000);
  });

  test("[G12] `max_total_bytes`: a file over 20 GB is refused by its size, before anybody reads it", async () => {
    writtenLater(box.room, "film.mp4", (path) => {
      writeFileSync(path, "");
      // Holes cost no disk; reading and hashing them would cost minutes.
      truncateSync(path, 20 * GIB + 1);
    });
    const error = await refused(3, textGraph("film.mp4"));
    expect(error).toMatchObject({ node_id: "1", exception_type: "OutputLimit", exception_message: expect.stringMatching(/^The run's files are larger than 20 GB together.*not kept\. Make the video shorter/) as string });
    await stillWorks(3, 0x525252);
    // What was left behind is emptied like everything else of a job that is over [G23].
    expect(statSync(join(outputFolder(box.room), "film.mp4")).size).toBe(0);
    rmSync(join(outputFolder(box.room), "film.mp4"));
  });
});
