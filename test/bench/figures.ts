/** One run of one thing. */
export interface Sample {
  wallMs: number;
  /** User and system time of the process and all it started. */
  cpuSeconds: number;
  /** Of the database server meanwhile; absent where it had nothing to do. */
  serverCpuSeconds?: number;
  peakRssBytes: number;
}

export interface Figure {
  median: number;
  least: number;
  most: number;
}

export function figureOf(values: number[]): Figure {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
  return { median, least: sorted[0] ?? Number.NaN, most: sorted.at(-1) ?? Number.NaN };
}

/** Ratios of runs that were made right after each other: what slows the machine slows both. */
export function ratioOf(ours: Sample[], theirs: Sample[]): Figure {
  return figureOf(ours.map((sample, index) => sample.wallMs / (theirs[index]?.wallMs ?? Number.NaN)));
}

/** Ratio of all processor time, the server's included: it tells on a busy machine too, where wall time tells of the others. */
export function cpuRatioOf(ours: Sample[], theirs: Sample[]): number {
  const all = (samples: Sample[]): number =>
    figureOf(samples.map((sample) => sample.cpuSeconds + (sample.serverCpuSeconds ?? 0))).median;
  return all(ours) / all(theirs);
}

/** Runs all of them in turn, `runs` times, so that each sees the same weather. */
export async function interleaved<Name extends string>(
  runs: number,
  things: Record<Name, (run: number) => Promise<Sample>>,
): Promise<Record<Name, Sample[]>> {
  const names = Object.keys(things) as Name[];
  const samples = Object.fromEntries(names.map((name) => [name, [] as Sample[]])) as Record<Name, Sample[]>;
  for (let run = 0; run < runs; run++) {
    // Whoever comes second finds warmer caches: the order turns.
    for (const name of run % 2 === 0 ? names : names.toReversed()) samples[name].push(await things[name](run));
  }
  return samples;
}
