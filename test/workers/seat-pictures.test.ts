// The picture codecs in workerd, held against files that other encoders wrote (sharp's libvips, and the recorded ones of ComfyUI's own uploads).
import { describe, expect, it } from "vitest";
import { decodePicture, decodePng, encodeLossy, encodePng, sniff } from "../../frontend-shim/comfy-api/pictures/index.ts";
import { PALETTE_INTERLACED, GREY_16, GREY_2_CLEAR, JPEG, RGBA_TEXT, WEBP } from "./seat-pictures.fixtures.ts";

const MAX = 1_000_000;

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

async function decoded(base64: string) {
  const answer = await decodePicture(bytesOf(base64), MAX);
  if (!answer.ok) throw new Error(answer.fault);
  return answer.picture;
}

function pixel(picture: { width: number; rgba: Uint8ClampedArray }, x: number, y: number): number[] {
  return [...picture.rgba.subarray((y * picture.width + x) * 4, (y * picture.width + x) * 4 + 4)];
}

describe("pictures of a seat", () => {
  it("[R http-upload-view] a PNG with alpha and text chunks is read to the last pixel, and keeps its texts when written again", async () => {
    const answer = await decodePng(bytesOf(RGBA_TEXT.png), MAX);
    if (!answer.ok) throw new Error(answer.fault);
    expect([answer.picture.width, answer.picture.height]).toEqual(RGBA_TEXT.size);
    expect([...answer.picture.rgba]).toEqual(RGBA_TEXT.rgba);
    const again = await decodePng(await encodePng(answer.picture, "rgba", answer.picture.text), MAX);
    if (!again.ok) throw new Error(again.fault);
    expect([...again.picture.rgba]).toEqual(RGBA_TEXT.rgba);
    expect(again.picture.text.map((chunk) => new TextDecoder().decode(chunk.data))).toEqual(RGBA_TEXT.texts);
  });

  it.each([["an interlaced palette", PALETTE_INTERLACED], ["16-bit grey", GREY_16], ["2-bit grey with a clear colour", GREY_2_CLEAR]])("reads %s as other decoders do", async (_name, fixture) => {
    const picture = await decoded(fixture.png);
    expect([picture.width, picture.height]).toEqual(fixture.size);
    expect([...picture.rgba]).toEqual(fixture.rgba);
  });

  it("writes RGB without an alpha channel", async () => {
    const picture = await decoded(RGBA_TEXT.png);
    const png = await encodePng(picture, "rgb");
    expect(png[25]).toBe(2);
    const again = await decodePng(png, MAX);
    if (!again.ok) throw new Error(again.fault);
    expect([...again.picture.rgba]).toEqual(RGBA_TEXT.rgba.map((value, index) => (index % 4 === 3 ? 255 : value)));
  });

  it.each([["jpeg", JPEG], ["webp", WEBP]])("decodes %s within the noise of its compression", async (format, fixture) => {
    expect(sniff(bytesOf(fixture.file))).toBe(format);
    const picture = await decoded(fixture.file);
    expect([picture.width, picture.height]).toEqual(fixture.size);
    for (const [x, y, rgba] of fixture.pixels) pixel(picture, x, y).forEach((value, channel) => expect(Math.abs(value - (rgba[channel] ?? 0))).toBeLessThanOrEqual(6));
  });

  it.each(["jpeg", "webp"] as const)("encodes %s that decodes to the same picture, smaller with less quality", async (format) => {
    const source = { width: 64, height: 48, rgba: Uint8ClampedArray.from({ length: 64 * 48 * 4 }, (_, at) => (at % 4 === 3 ? 255 : (at * 7919) % 256)) };
    const [fine, coarse] = [await encodeLossy(source, format, 95), await encodeLossy(source, format, 20)];
    expect(sniff(fine)).toBe(format);
    expect(coarse.byteLength).toBeLessThan(fine.byteLength);
    const again = await decodePicture(fine, MAX);
    expect(again.ok && [again.picture.width, again.picture.height]).toEqual([64, 48]);
  });

  it("webp keeps alpha", async () => {
    const rgba = Uint8ClampedArray.from({ length: 16 * 16 * 4 }, (_, at) => (at % 4 === 3 ? (Math.floor(at / 64) * 16) % 256 : 200));
    const again = await decodePicture(await encodeLossy({ width: 16, height: 16, rgba }, "webp", 90), MAX);
    expect(again.ok && again.picture.rgba.filter((_, at) => at % 4 === 3)).toEqual(rgba.filter((_, at) => at % 4 === 3));
  });

  it("refuses what is no picture, what is cut off and what has too many pixels, without throwing", async () => {
    const png = bytesOf(RGBA_TEXT.png);
    expect(await decodePicture(new TextEncoder().encode("<script>alert(1)</script>"), MAX)).toEqual({ ok: false, fault: "no_picture" });
    expect(await decodePicture(png.subarray(0, 40), MAX)).toEqual({ ok: false, fault: "no_picture" });
    expect(await decodePicture(png, 10)).toEqual({ ok: false, fault: "too_many_pixels" });
    expect(await decodePicture(bytesOf(JPEG.file).subarray(0, 30), MAX)).toEqual({ ok: false, fault: "no_picture" });
  });
});
