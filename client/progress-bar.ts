import { formatBytes, formatDuration } from '../workflows/model/units.ts';

/** How far a run is, as far as it is known. */
export interface ProgressView {
  /** "backup/shop" */
  run: string;
  /** "fetch", "replay" ... */
  step: string;
  doneBytes?: number;
  totalBytes?: number;
  note?: string;
}

/** Bytes a second over the last moments; a new step starts afresh. */
export class RateMeter {
  readonly #windowMs: number;
  #samples: { atMs: number; bytes: number }[] = [];
  #step = '';

  constructor(windowMs = 10_000) {
    this.#windowMs = windowMs;
  }

  add(step: string, atMs: number, bytes: number): void {
    const last = this.#samples.at(-1);
    // A retried attempt starts below what the last one had.
    if (step !== this.#step || (last && bytes < last.bytes)) this.#samples = [];
    this.#step = step;
    this.#samples.push({ atMs, bytes });
    while (this.#samples.length > 2 && atMs - (this.#samples[0]?.atMs ?? atMs) > this.#windowMs) this.#samples.shift();
  }

  /** undefined until two moments with bytes between them are known. */
  bytesPerSecond(): number | undefined {
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (!first || !last || last.atMs <= first.atMs || last.bytes <= first.bytes) return undefined;
    return ((last.bytes - first.bytes) * 1000) / (last.atMs - first.atMs);
  }
}

const BAR_CELLS = 24;

/** One line: run, step, bar, percent, bytes, rate, time left; what is unknown is left out. */
export function progressLine(view: ProgressView, rate: number | undefined): string {
  const parts = [view.run, view.step, ...measures(view, rate), view.note ?? ''];
  return parts.filter((part) => part !== '').join('  ');
}

function measures({ doneBytes, totalBytes }: ProgressView, rate: number | undefined): string[] {
  if (doneBytes === undefined) return [];
  const speed = rate === undefined ? '' : `${formatBytes(rate)}/s`;
  if (totalBytes === undefined || totalBytes <= 0) return [formatBytes(doneBytes), speed];
  const fraction = Math.min(doneBytes / totalBytes, 1);
  const leftBytes = totalBytes - doneBytes;
  return [
    `[${'#'.repeat(Math.floor(fraction * BAR_CELLS)).padEnd(BAR_CELLS, '.')}]`,
    `${Math.floor(fraction * 100)}%`,
    `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`,
    speed,
    rate !== undefined && leftBytes > 0 ? `${formatDuration((leftBytes / rate) * 1000)} left` : '',
  ];
}

/** Cuts to the terminal's width, so that a rewritten line never wraps. */
export function fitted(line: string, columns: number): string {
  const letters = [...line];
  return letters.length <= columns ? line : `${letters.slice(0, Math.max(0, columns - 1)).join('')}…`;
}
