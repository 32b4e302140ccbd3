// Chance without chance: everything the painter rolls comes from hashes of the prompt and the seed,
// so the same prompt, seed and size give the same picture on every machine.

/** 32-bit FNV-1a with a final mix. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return scramble(hash);
}

function scramble(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Folds a 64-bit seed and a salt into 32 bits. */
export function hashSeed(seed: bigint, salt: number): number {
  const low = Number(BigInt.asUintN(32, seed));
  const high = Number(BigInt.asUintN(32, seed >> 32n));
  return scramble(scramble(low ^ salt) ^ Math.imul(high + 0x9e3779b9, 0x85ebca6b));
}

/** A small deterministic generator (mulberry32). */
export class Dice {
  private state: number;
  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 4294967296;
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.next();
  }

  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[Math.floor(this.next() * choices.length)] ?? choices[0];
  }
}

const SIZE = 256;

/** Smooth value noise, 0..1, repeating every 256 units. */
export class Noise {
  private readonly values = new Float32Array(SIZE);
  private readonly order = new Uint8Array(SIZE * 2);
  constructor(dice: Dice) {
    for (let i = 0; i < SIZE; i++) {
      this.values[i] = dice.next();
      this.order[i] = i;
    }
    for (let i = SIZE - 1; i > 0; i--) {
      const j = Math.floor(dice.next() * (i + 1));
      const kept = this.order[i] as number;
      this.order[i] = this.order[j] as number;
      this.order[j] = kept;
    }
    this.order.copyWithin(SIZE, 0, SIZE);
  }

  at(x: number, y: number): number {
    const left = Math.floor(x);
    const top = Math.floor(y);
    const dx = x - left;
    const dy = y - top;
    const sx = dx * dx * (3 - 2 * dx);
    const sy = dy * dy * (3 - 2 * dy);
    const row = this.order[top & 255] as number;
    const below = this.order[(top + 1) & 255] as number;
    const a = this.values[this.order[(left & 255) + row] as number] as number;
    const b = this.values[this.order[((left + 1) & 255) + row] as number] as number;
    const c = this.values[this.order[(left & 255) + below] as number] as number;
    const d = this.values[this.order[((left + 1) & 255) + below] as number] as number;
    const upper = a + (b - a) * sx;
    return upper + (c + (d - c) * sx - upper) * sy;
  }

  /** Several octaves, each half as strong and twice as fine; 0..1. */
  layered(x: number, y: number, octaves: number): number {
    let sum = 0;
    let weight = 0.5;
    let total = 0;
    let px = x;
    let py = y;
    for (let octave = 0; octave < octaves; octave++) {
      sum += this.at(px, py) * weight;
      total += weight;
      weight *= 0.5;
      const turned = px * 1.6 - py * 1.2 + 17.3; // turn each octave, or the grid shows
      py = px * 1.2 + py * 1.6 + 9.1;
      px = turned;
    }
    return sum / total;
  }
}

/** Hash of a cell to 0..1, for stars and windows. */
export function cell(x: number, y: number, salt: number): number {
  return scramble(Math.imul(x, 0x27d4eb2d) ^ Math.imul(y, 0x165667b1) ^ salt) / 4294967296;
}
