// The browser suite: one list of things people do, played on every frontend the product is pinned to or was.
import { describe } from "vitest";
import { files } from "./files.ts";
import { keeping } from "./keeping.ts";
import { lines } from "./lines.ts";
import { loading } from "./loading.ts";
import { running } from "./running.ts";
import { Stage } from "./stage.ts";
import { together } from "./together.ts";

export function browserSuite(version: string): void {
  describe(`the stock frontend ${version}`, () => {
    const stage = new Stage(version);
    loading(stage);
    running(stage);
    files(stage);
    keeping(stage);
    lines(stage);
    together(stage);
  });
}
