// Values as Python 3.11 prints, converts and compares them; the tables were made with it.
import { describe, expect, test } from "vitest";
import type { Json } from "../../../frontend-shim/comfy-api/catalog/index.ts";
import { compares, equals, floatText, PythonError, repr, str, toBool, toFloat, toInt } from "../../../frontend-shim/comfy-api/validation/python.ts";

function attempt(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    return error instanceof PythonError ? `${error.type}: ${error.message}` : error;
  }
}

describe("values read as Python prints them", () => {
  test.each([
    [null, "None"], [true, "True"], [5, "5"], [0.5, "0.5"], [1e-5, "1e-05"], [1.5e-7, "1.5e-07"], [1e22, "1e+22"], [3.14e100, "3.14e+100"], [2n ** 64n, "18446744073709551616"],
    ["it's", `"it's"`], ['say "hi"', `'say "hi"'`], [`both ' and "`, `'both \\' and "'`], ["a\nb\t\\", "'a\\nb\\t\\\\'"], ["\u0000\u007f\u00ad", "'\\x00\\x7f\\xad'"], ["\u200b\u2028é😀", "'\\u200b\\u2028é😀'"],
    [[1, "a", null], "[1, 'a', None]"], [{ a: [true] }, "{'a': [True]}"],
  ])("%s", (value, text) => {
    expect(repr(value)).toBe(text);
    expect(str(value)).toBe(typeof value === "string" ? value : text);
  });
  test("a float always looks like one", () => {
    expect([8, -0, 1e16, 123456.789, 9999999999999998, 0.0001, 0.00001].map(floatText)).toEqual(["8.0", "-0.0", "1e+16", "123456.789", "9999999999999998.0", "0.0001", "1e-05"]);
  });
});

describe("conversions", () => {
  test.each([
    ["5", 5], [" 5 ", 5], ["1_000", 1000], ["007", 7], ["+7", 7], [5.9, 5], [-5.9, -5], [true, 1], ["18446744073709551615", 18446744073709551615n],
    ["5.0", "ValueError: invalid literal for int() with base 10: '5.0'"], ["", "ValueError: invalid literal for int() with base 10: ''"], ["1__0", "ValueError: invalid literal for int() with base 10: '1__0'"],
    [null, "TypeError: int() argument must be a string, a bytes-like object or a real number, not 'NoneType'"], [{}, "TypeError: int() argument must be a string, a bytes-like object or a real number, not 'dict'"],
  ])("int(%s)", (value, result) => expect(attempt(() => toInt(value))).toBe(result));
  test("int() of more than 4300 digits", () => {
    expect(attempt(() => toInt("9".repeat(4301)))).toBe("ValueError: Exceeds the limit (4300 digits) for integer string conversion: value has 4301 digits; use sys.set_int_max_str_digits() to increase the limit");
  });
  test.each([
    ["5", 5], [".5", 0.5], ["5.", 5], ["1e3", 1000], ["1_0.5", 10.5], [" -inf", -Infinity], ["Infinity", Infinity], [false, 0], [3n, 3],
    ["abc", "ValueError: could not convert string to float: 'abc'"], ["1_.5", "ValueError: could not convert string to float: '1_.5'"], [[], "TypeError: float() argument must be a string or a real number, not 'list'"],
  ])("float(%s)", (value, result) => expect(attempt(() => toFloat(value))).toBe(result));
  test("bool() goes by emptiness, not by words", () => {
    const values: Json[] = ["false", "", 0, 0.1, null, [], [0], {}, { a: 1 }, true];
    expect(values.map(toBool)).toEqual([true, false, false, true, false, false, true, false, true, true]);
  });
});

describe("comparison", () => {
  test("numbers and booleans compare with each other, texts with texts, nothing else", () => {
    expect([compares(1, "<", 2n), compares(true, ">", 0), compares("b", ">", "a")]).toEqual([true, true, true]);
    expect(attempt(() => compares("5", "<", 1))).toBe("TypeError: '<' not supported between instances of 'str' and 'int'");
    expect(attempt(() => compares(null, ">", 0.5))).toBe("TypeError: '>' not supported between instances of 'NoneType' and 'float'");
  });
  test("equality goes by value", () => {
    expect([equals(1, true), equals(1n, 1), equals([1, { a: 2 }], [1, { a: 2 }]), equals({ a: 1 }, { a: 1, b: 2 }), equals("1", 1), equals([], {}), equals(null, 0)]).toEqual([true, true, true, false, false, false, false]);
  });
});
