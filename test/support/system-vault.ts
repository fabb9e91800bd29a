import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseWalKey } from '../../activities/vault/layout.ts';
import { compareLsn } from '../../workflows/model/lsn.ts';
import type { WalRange } from '../../workflows/model/wal.ts';
import { rangesOf } from '../../workflows/model/wal-coverage.ts';
import { until } from './system-until.ts';

/** Keys below a folder of a filesystem store; none where there is none. */
export async function keysOf(vault: string, prefix: string): Promise<string[]> {
  const entries = await readdir(join(vault, prefix), { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(vault.length + 1));
}

/** Contiguous WAL in the vault; one range where nothing is missing. */
export async function walRanges(vault: string, source: string): Promise<WalRange[]> {
  const objects = await Promise.all(
    (await keysOf(vault, `${source}/wal`)).map(async (key) => {
      const found = await stat(join(vault, key)).catch(() => undefined);
      return found && parseWalKey({ key, bytes: found.size, modifiedAt: '' });
    }),
  );
  return rangesOf(objects.filter((object) => object !== undefined));
}

/** Resolves when the vault holds the WAL up to a position, without a hole. */
export async function shippedTo(vault: string, source: string, lsn: string): Promise<void> {
  await inOnePiece(vault, source, lsn);
}

/** The same, up to wherever it is. A look while pieces are compacted may see neither; what counts is a hole that stays. */
export async function inOnePiece(vault: string, source: string, lsn = '0/0'): Promise<void> {
  let seen: WalRange[] = [];
  await until(
    () => `the WAL of ${source} up to ${lsn} in one piece: ${JSON.stringify(seen)}`,
    async () => {
      seen = await walRanges(vault, source);
      const [range] = seen;
      return seen.length === 1 && range && compareLsn(range.endLsn, lsn) >= 0 ? true : undefined;
    },
  );
}

/** Folders of points that are no backup and hold something: none may be left by a run that has ended. */
export async function unfinishedPoints(vault: string, source: string): Promise<string[]> {
  const folders = new Map<string, Set<string>>();
  for (const key of await keysOf(vault, `${source}/points`)) {
    const [, , point = '', name = ''] = key.split('/');
    folders.set(point, (folders.get(point) ?? new Set()).add(name));
  }
  return [...folders].flatMap(([point, names]) => {
    const hasParts = [...names].some((name) => /^p\d+$/.test(name));
    return names.has('draft') || (hasParts && !names.has('manifest')) ? [point] : [];
  });
}
