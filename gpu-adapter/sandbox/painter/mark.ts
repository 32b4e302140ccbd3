// The word "sandbox" in the corner of everything the painter made: nobody shall take it for a model's work.

/** Five rows by letter; "#" is ink. */
const LETTERS: Record<string, readonly string[]> = {
  s: [" ###", "#   ", " ## ", "   #", "### "],
  a: [" ## ", "#  #", "####", "#  #", "#  #"],
  n: ["#  #", "## #", "# ##", "#  #", "#  #"],
  d: ["### ", "#  #", "#  #", "#  #", "### "],
  b: ["### ", "#  #", "### ", "#  #", "### "],
  o: [" ## ", "#  #", "#  #", "#  #", " ## "],
  x: ["#  #", "#  #", " ## ", "#  #", "#  #"],
};
const WORD = "sandbox";
const ADVANCE = 5;
const ROWS = 5;

/** Draws the mark, half transparent, into the lower right corner; pictures too small for it (under 64 px wide) stay clean. */
export function drawMark(data: Float32Array, width: number, height: number): void {
  const scale = Math.max(1, Math.round(Math.min(width, height) / 320));
  const wordWidth = (WORD.length * ADVANCE - 1) * scale;
  const margin = 4 * scale;
  if (width < Math.max(64, wordWidth + 2 * margin) || height < (ROWS + 8) * scale) return;
  const left = width - margin - wordWidth;
  const top = height - margin - ROWS * scale;
  const isInk = (column: number, row: number): boolean => {
    if (column < 0 || row < 0 || row >= ROWS) return false;
    const letter = LETTERS[WORD[Math.floor(column / ADVANCE)] ?? ""];
    return letter?.[row]?.[column % ADVANCE] === "#";
  };
  for (let y = top - scale; y < height - margin + scale; y++) {
    for (let x = left - scale; x < width - margin + scale; x++) {
      const column = Math.floor((x - left) / scale);
      const row = Math.floor((y - top) / scale);
      const level = isInk(column, row) ? 1 : isInk(column - 1, row - 1) ? 0 : undefined; // a shadow down right keeps it readable on white
      if (level === undefined) continue;
      for (let channel = 0; channel < 3; channel++) {
        const at = (y * width + x) * 3 + channel;
        data[at] = (data[at] as number) * 0.35 + level * 0.65;
      }
    }
  }
}
