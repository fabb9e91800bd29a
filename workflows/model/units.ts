import { failure } from './failure.ts';

const DURATION_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const SIZE_BYTES: Record<string, number> = {
  ...{ B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 },
  ...{ KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 },
};

/** "500ms", "5s", "90m", "1h30m", "2d" to milliseconds. A bare number is refused: it has no unit. */
export function parseDuration(text: string): number {
  return sum(text, { units: DURATION_MS, example: '5s, 90m, 1h30m, 2d', what: 'duration' });
}

/** "16MiB", "1.5GB" to bytes. */
export function parseBytes(text: string): number {
  return Math.round(sum(text, { units: SIZE_BYTES, example: '64KiB, 16MiB, 1.5GB', what: 'size' }));
}

interface UnitTable {
  units: Record<string, number>;
  example: string;
  what: string;
}

function sum(text: string, table: UnitTable): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)\s*([A-Za-z]+)/g)];
  const whole = parts.map((part) => part[0]).join('');
  const factors = parts.map((part) => table.units[part[2] ?? '']);
  if (parts.length === 0 || whole !== text.trim() || factors.includes(undefined)) {
    throw failure('ConfigInvalid', `${table.what} "${text}" is not a number with a unit`, {
      expected: `a number with a unit: ${table.example}`,
      found: text,
    });
  }
  return parts.reduce((total, part, index) => total + Number(part[1]) * (factors[index] ?? 0), 0);
}

export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`;
  const units = Object.entries(DURATION_MS).reverse();
  const first = units.findIndex(([, factor]) => ms >= factor);
  const [name, factor] = units[first] as [string, number];
  const rest = units[first + 1];
  const small = rest ? Math.floor((ms % factor) / rest[1]) : 0;
  return `${Math.floor(ms / factor)}${name}${small > 0 && rest && rest[0] !== 'ms' ? `${small}${rest[0]}` : ''}`;
}

export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), units.length - 1);
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}
