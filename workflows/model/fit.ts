/** One measurement of a time that is a sum of terms: `y` is about the sum of coefficient j times `x[j]`. */
export interface Sample {
  x: readonly number[];
  /** Seconds. */
  y: number;
  /** Above 0; 1 is a measurement of now. */
  weight: number;
}

export interface Fit {
  predict(x: readonly number[]): { mean: number; sd: number };
}

/** How far a coefficient may be from what is usual, in multiples of it: a sample of its own outweighs the usual at once. */
const BREADTH = 10;
/** Spread of a time around what explains it, as a share of it, before anything was measured; counts as this many samples. */
const USUAL_SPREAD = 0.25;
const USUAL_SAMPLES = 2;
/** Degrees of freedom of Student's t: a run that something held up weighs little beside others that agree. */
const FREEDOM = 4;
/** A shorter time is measured no better than this, seconds. */
const FLOOR = 0.1;
const ROUNDS = 12;

/**
 * Coefficients that explain samples, none of them negative: a robust Bayesian linear regression that begins at `usual`
 * (all above 0) and leaves it as far as the samples say. One sample is enough; what it does not tell apart stays uncertain.
 */
export function fit(samples: readonly Sample[], usual: readonly number[]): Fit {
  // In multiples of the usual, which keeps seconds and seconds per byte comparable.
  const rows = samples.map(({ x, y, weight }) => ({ x: scaled(x, usual), y, weight, trust: 1, scale: scaleOf(y, y) }));
  let spread = USUAL_SPREAD;
  let solved = solve(rows, spread, usual.length);
  for (let round = 0; round < ROUNDS; round++) {
    for (const row of rows) {
      row.scale = scaleOf(row.y, dot(row.x, solved.z));
      const off = (row.y - dot(row.x, solved.z)) / row.scale / spread;
      row.trust = (FREEDOM + 1) / (FREEDOM + off * off);
    }
    spread = spreadOf(rows, solved.z);
    solved = solve(rows, spread, usual.length);
  }
  const { z, covariance } = solved;
  return {
    predict: (given) => {
      const x = scaled(given, usual);
      const mean = dot(x, z);
      const unsure = dot(
        x,
        covariance.map((row) => dot(row, x)),
      );
      return { mean, sd: Math.sqrt(Math.max(0, unsure) + (spread * mean) ** 2) };
    },
  };
}

interface Row {
  x: number[];
  y: number;
  weight: number;
  /** Falls when the sample is far from what the others say. */
  trust: number;
  /** What the spread is a share of. */
  scale: number;
}

function scaleOf(y: number, expected: number): number {
  return Math.max(FLOOR, Math.sqrt(Math.max(0, y) * Math.max(0, expected)));
}

function spreadOf(rows: readonly Row[], z: readonly number[]): number {
  let [squares, count] = [USUAL_SAMPLES * USUAL_SPREAD ** 2, USUAL_SAMPLES];
  for (const { x, y, weight, trust, scale } of rows) {
    squares += weight * trust * ((y - dot(x, z)) / scale) ** 2;
    count += weight;
  }
  return Math.sqrt(squares / count);
}

interface Solved {
  z: number[];
  covariance: number[][];
}

/** Coefficients that would come out negative are 0, and the rest is solved without them. */
function solve(rows: readonly Row[], spread: number, size: number): Solved {
  const used = new Set(Array.from({ length: size }, (_, index) => index));
  for (;;) {
    const solved = solveFor(rows, spread, [...used]);
    const negative = [...used].filter((index) => (solved.z[index] ?? 0) < 0);
    if (negative.length === 0) return solved;
    for (const index of negative) used.delete(index);
  }
}

function solveFor(rows: readonly Row[], spread: number, used: readonly number[]): Solved {
  const size = Math.max(-1, ...used) + 1;
  const z = Array.from({ length: size }, () => 0);
  const covariance = z.map(() => z.map(() => 0));
  const at = (row: Row, index: number): number => row.x[index] ?? 0;
  const precisionOf = ({ weight, trust, scale }: Row): number => (weight * trust) / (spread * scale) ** 2;
  const sum = (value: (row: Row) => number): number =>
    rows.reduce((total, row) => total + precisionOf(row) * value(row), 0);
  const matrix = used.map((i) =>
    used.map((j) => sum((row) => at(row, i) * at(row, j)) + (i === j ? 1 / BREADTH ** 2 : 0)),
  );
  const inverse = inverted(matrix);
  const right = used.map((i) => sum((row) => at(row, i) * row.y) + 1 / BREADTH ** 2);
  used.forEach((i, a) => {
    z[i] = dot(inverse[a] ?? [], right);
    used.forEach((j, b) => ((covariance[i] ?? [])[j] = inverse[a]?.[b] ?? 0));
  });
  return { z, covariance };
}

/** Gauss and Jordan, for the few rows there are; the matrix is positive definite. */
function inverted(matrix: readonly (readonly number[])[]): number[][] {
  const size = matrix.length;
  const work = matrix.map((row, i) => [...row, ...Array.from({ length: size }, (_, j) => (i === j ? 1 : 0))]);
  for (let column = 0; column < size; column++) {
    const pivot = work[column] ?? [];
    const factor = pivot[column] ?? 1;
    for (let j = 0; j < pivot.length; j++) pivot[j] = (pivot[j] ?? 0) / factor;
    for (const row of work) {
      if (row === pivot) continue;
      const times = row[column] ?? 0;
      for (let j = 0; j < row.length; j++) row[j] = (row[j] ?? 0) - times * (pivot[j] ?? 0);
    }
  }
  return work.map((row) => row.slice(size));
}

function scaled(x: readonly number[], usual: readonly number[]): number[] {
  return usual.map((mean, index) => mean * (x[index] ?? 0));
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);
}
