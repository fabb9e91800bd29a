/** Draws from a seed: the same seed gives the same draws, on every machine. */
export interface Random {
  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number;
  /** True in `percent` of a hundred draws. */
  chance(percent: number): boolean;
  pick<T>(list: readonly T[]): T;
  /** By weight; what weighs nothing is never drawn. */
  weighted<T>(list: readonly T[], weightOf: (each: T) => number): T;
}

const WORDS = 2 ** 32;

/** xoshiro128** of Blackman and Vigna, its state filled by splitmix32 from the seed and the number of the stream. */
export function randomOf(seed: number, stream = 0): Random {
  const fill = splitmix((seed ^ Math.imul(stream, 0x9e3779b1)) >>> 0);
  const state = new Uint32Array([fill(), fill(), fill(), fill() | 1]);
  const below = (limit: number): number => Math.floor((next(state) / WORDS) * limit);
  const random: Random = {
    between: (low, high) => low + below(high - low + 1),
    chance: (percent) => below(100) < percent,
    pick: (list) => random.weighted(list, () => 1),
    weighted: (list, weightOf) => {
      const total = list.reduce((sum, each) => sum + weightOf(each), 0);
      let at = below(total);
      const found = list.find((each) => (at -= weightOf(each)) < 0);
      if (found === undefined) throw new RangeError('nothing to draw from');
      return found;
    },
  };
  return random;
}

function next(state: Uint32Array): number {
  const [a = 0, b = 0, c = 0, d = 0] = state;
  const drawn = Math.imul(rotated(Math.imul(b, 5), 7), 9) >>> 0;
  const e = c ^ a;
  const f = d ^ b;
  state.set([a ^ f, b ^ e, e ^ (b << 9), rotated(f, 11)]);
  return drawn;
}

function rotated(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}

function splitmix(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    const a = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    const b = Math.imul(a ^ (a >>> 15), 0x735a2d97);
    return (b ^ (b >>> 15)) >>> 0;
  };
}
