import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { catalogWebKey, inputKey, MAX_KEY_BYTES, outputKey, promptKey, safeName, userdataKey, userdataPath, userdataPrefix } from "../../../r2/keys.ts";

const output = { workshop: "demo", job: "7d2a", attempt: 1, lease: "l_x-1", n: 0, filename: "ComfyUI_00001_.png" };

describe("keys of the bucket", () => {
  it("[G21] an output's key names workshop, job, attempt, lease, number and a safe name", () => {
    expect(outputKey(output)).toBe("o/demo/7d2a/1/l_x-1/0-ComfyUI_00001_.png");
    expect(inputKey("demo", "user001", "0b9f")).toBe("in/demo/user001/0b9f");
    expect(promptKey("demo", "7d2a")).toBe("p/demo/7d2a.json");
  });

  it.each([
    ["../../etc/passwd", "passwd"],
    ["..", "file"],
    [".hidden", "hidden"],
    ["a b/c d.png", "c_d.png"],
    ["Ärger 100%.png", "A_rger_100_.png"],
    ["猫.png", "_.png"],
    [`${"x".repeat(300)}.webm`, `${"x".repeat(95)}.webm`],
  ])("a file called %s is kept under the safe name %s", (filename, safe) => {
    expect(safeName(filename)).toBe(safe);
    expect(outputKey({ ...output, filename })).toBe(`o/demo/7d2a/1/l_x-1/0-${safe}`);
  });

  it("a part that could leave its prefix is a fault, not a key", () => {
    for (const part of ["", "..", ".", "a/b", "a\\b", "a%2fb", "ä", "x".repeat(201)]) {
      expect(() => inputKey("demo", "user001", part)).toThrow(/not a part/);
      expect(() => outputKey({ ...output, lease: part })).toThrow(/not a part/);
    }
    expect(() => outputKey({ ...output, n: -1 })).toThrow(/not a count/);
  });

  it("a path of user data stays below its seat and comes back unchanged, whatever is in it", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 60 }), (path) => {
        const key = userdataKey("demo", "user001", path);
        if (key === null) return;
        expect(key.startsWith("u/demo/user001/")).toBe(true);
        expect(key.split("/").slice(3).some((segment) => segment === ".." || segment === "." || segment === "")).toBe(false);
        expect(/[\\\u0000-\u001f\u007f]/.test(key)).toBe(false);
        expect(userdataPath("demo", "user001", key)).toBe(path);
      }),
    );
  });

  it("different paths never share a key", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("a", "%", "2", "5", "F", "/", ".", "\\", "\n") }), fc.string({ unit: fc.constantFrom("a", "%", "2", "5", "F", "/", ".", "\\", "\n") }), (left, right) => {
        const [a, b] = [userdataKey("demo", "user001", left), userdataKey("demo", "user001", right)];
        expect(a !== null && a === b).toBe(a !== null && left === right);
      }),
    );
  });

  it.each(["", "/", "a//b", "../user002/x", "a/../../b", "a/..", ".", "workflows/", "\ud800"])("%j is no path of user data", (path) => {
    expect(userdataKey("demo", "user001", path)).toBeNull();
    expect(catalogWebKey("d".repeat(64), path)).toBeNull();
  });

  it("a key over 1024 bytes is refused, counted in bytes and not in characters", () => {
    const room = MAX_KEY_BYTES - userdataPrefix("demo", "user001").length;
    expect(userdataKey("demo", "user001", "x".repeat(room))).toHaveLength(MAX_KEY_BYTES);
    expect(userdataKey("demo", "user001", "x".repeat(room + 1))).toBeNull();
    expect(userdataKey("demo", "user001", "猫".repeat(Math.floor(room / 3)))).not.toBeNull();
    expect(userdataKey("demo", "user001", "猫".repeat(Math.floor(room / 3) + 1))).toBeNull();
  });
});
