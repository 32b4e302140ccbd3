// The JSON the sandbox reads and writes is Python's: what people's tools find in a picture must not depend on who painted it.

import { assert, json, property } from "fast-check";
import { describe, expect, test } from "vitest";
import { WholeFloat, dumps, float, parseJson, toNumber } from "../../../gpu-adapter/sandbox/json.ts";

const roundTrip = (text: string): string => dumps(parseJson(text));

describe("numbers", () => {
  test.each([
    ["8.0", "8.0"], ["8", "8"], ["-0.0", "-0.0"], ["1e22", "1e+22"], ["1E16", "1e+16"], ["123456789.0", "123456789.0"], ["1e-7", "1e-07"], ["0.0001", "0.0001"], ["0.00001", "1e-05"],
    ["2.5", "2.5"], ["1e300", "1e+300"], ["18446744073709551615", "18446744073709551615"], ["-9007199254740993", "-9007199254740993"],
  ])("%s is written as json.dumps writes it: %s", (given, written) => {
    expect(roundTrip(given)).toBe(written);
  });

  test("a 64-bit seed is exact, a whole float keeps its mark, other floats are plain", () => {
    expect(parseJson("18446744073709551615")).toBe(18446744073709551615n);
    expect(parseJson("1.0")).toEqual(new WholeFloat(1));
    expect(parseJson("1.5")).toBe(1.5);
    expect(toNumber(float(3))).toBe(3);
    expect(toNumber(parseJson('"3"'))).toBeNaN();
  });
});

describe("objects and text", () => {
  test("keys keep the order they came in, also those that look like numbers", () => {
    expect(roundTrip('{"10":1,"2":{"b":[],"a":{}},"1":null}')).toBe('{"10": 1, "2": {"b": [], "a": {}}, "1": null}');
  });

  test("non-ASCII is escaped as UTF-16 units, and control characters as Python does", () => {
    expect(dumps("é 図 😀 \u007f \u0000 \n \" \\ /")).toBe('"\\u00e9 \\u56f3 \\ud83d\\ude00 \\u007f \\u0000 \\n \\" \\\\ /"');
  });

  test("undefined members of our own records are left out", () => {
    expect(dumps({ a: undefined, b: [undefined, true] })).toBe('{"b": [null, true]}');
  });

  test("whatever JSON.parse takes means the same here", () => {
    assert(property(json(), (text) => void expect(JSON.parse(roundTrip(text))).toEqual(JSON.parse(text))));
  });

  test("writing and reading again changes nothing", () => {
    assert(property(json(), (text) => void expect(roundTrip(roundTrip(text))).toBe(roundTrip(text))));
  });
});

describe("refusals", () => {
  test.each(["", "{", "[1,]", "{a:1}", '{"a" 1}', "01", "1.", "nul", '"open', "[1] x", '"\n"', "'a'", "+1"])("%j is no JSON", (text) => {
    expect(() => parseJson(text)).toThrow(SyntaxError);
  });

  test("endless nesting is refused, not a lost stack", () => {
    expect(() => parseJson("[".repeat(100_000))).toThrow(SyntaxError);
  });
});
