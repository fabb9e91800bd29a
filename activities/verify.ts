import { chainsOf } from '../workflows/model/chain.ts';
import { failure, findFailure, isFailure } from '../workflows/model/failure.ts';
import { rangeHolding, rangesOf } from '../workflows/model/wal-coverage.ts';
import { needsWal, summarise } from '../workflows/model/manifest.ts';
import type { PointSummary } from '../workflows/model/manifest.ts';
import type { Check } from '../workflows/model/recovery.ts';
import { firstNeeded } from '../workflows/model/retention-good.ts';
import type { WalObject } from '../workflows/model/wal.ts';
import type { VerifyResult } from '../workflows/model/results.ts';
import type { Deps } from './deps.ts';
import { endUse, takeIntoUse } from './in-use.ts';
import { isoTime } from './io/clock.ts';
import type { SourceUse } from './use-source.ts';
import { useSource } from './use-source.ts';
import type { Vault } from './vault/vault.ts';

/** A segment is compacted once; what is missing in three lists was lost. */
const LOOKS = 3;
/** WAL objects read at once, of a segment's length at most. */
const AT_ONCE = 4;

/**
 * Reads every part of a point, and of all that it stands on, and compares every byte with what was signed; reads the WAL it
 * needs, which the cipher vouches for.
 */
export function verifyPoint(deps: Deps, { source, point }: { source: string; point: string }): Promise<VerifyResult> {
  return useSource(deps, source, async (use) => {
    await takeIntoUse(use, { points: [point], wal: false });
    try {
      return await noted(use, point, () => readPoint(use, point));
    } finally {
      await endUse(use).catch((error: unknown) => use.run.log.warn('a note of use stays', { error: String(error) }));
    }
  });
}

/** Whatever was found is kept beside the point, for retention; that it could not be noted changes nothing of it. */
async function noted(use: SourceUse, point: string, read: () => Promise<VerifyResult>): Promise<VerifyResult> {
  try {
    const result = await read();
    const bad = result.checks.filter((check) => !check.ok);
    if (bad.length === 0) await noteGood(use, point);
    else await noteWrong(use, point, bad.map(({ name, found }) => `${name}: ${found}`).join('; '));
    return result;
  } catch (error) {
    if (isFailure(error, 'Integrity')) await noteWrong(use, point, findFailure(error)?.message ?? '');
    throw error;
  }
}

/** An emptied place, or the wrong one, must not pass for one in which all is well. */
export function nothingStored({ name, config }: SourceUse): Error {
  return failure('NotFound', `vault holds nothing of ${name}: there is nothing to verify`, {
    place: `source ${name} in store ${config.store}`,
    expected: 'recovery points, or WAL',
    found: 'neither',
    hint: `is it the right place? lifeboat config explain stores; take a first backup: lifeboat backup ${name}`,
  });
}

export function noteGood(use: SourceUse, point: string): Promise<void> {
  return note(use, point, { verifiedAt: isoTime(use.run.clock.nowMs()) });
}

export function noteWrong(use: SourceUse, point: string, reason: string): Promise<void> {
  return note(use, point, { wrong: { at: isoTime(use.run.clock.nowMs()), reason } });
}

/** What following its WAL record by record found; without a reason it is right. */
export function noteWal(use: SourceUse, point: string, reason?: string): Promise<void> {
  return note(use, point, { wrongWal: reason === undefined ? null : { at: isoTime(use.run.clock.nowMs()), reason } });
}

function note({ vault, run }: SourceUse, point: string, news: Parameters<Vault['noteChecked']>[1]): Promise<void> {
  return vault
    .noteChecked(point, news)
    .catch((error: unknown) => run.log.warn(`what was found of ${point} could not be noted`, { error: String(error) }));
}

async function readPoint({ vault, run }: SourceUse, point: string): Promise<VerifyResult> {
  const { manifest } = await vault.open(point);
  const summary = summarise(manifest);
  const chain = await chainFor(vault, summary);
  const sum = (pick: (link: PointSummary) => number): number => chain.reduce((total, link) => total + pick(link), 0);
  const [wanted, totalBytes] = [sum((link) => link.parts), sum((link) => link.bytes)];
  const read = { parts: 0, bytes: 0, storedBytes: 0 };
  let doneBytes = 0;
  for (const link of chain) {
    const counted = await vault.verify(link.point, (bytes) => {
      doneBytes += bytes;
      run.progress({ phase: 'verify', note: link.point, doneBytes, totalBytes });
    });
    for (const what of ['parts', 'bytes', 'storedBytes'] as const) read[what] += counted[what];
  }
  const found = `${read.parts} of ${wanted} parts`;
  return {
    point: summary,
    ...read,
    checks: [
      { name: 'manifest signed by a trusted key', ok: true, expected: 'a signature', found: 'verified' },
      ...(chain.length > 1 ? [chainCheck(chain)] : []),
      { name: 'every part is what was signed', ok: true, expected: `${wanted} parts`, found },
      ...(needsWal(summary) ? [await walCheck(vault, summary)] : []),
    ],
  };
}

/** Integrity when something that the point stands on is not there. */
async function chainFor(vault: Vault, point: PointSummary): Promise<PointSummary[]> {
  if (point.kind === 'full') return [point];
  const chain = chainsOf((await vault.points()).points)(point);
  if ('links' in chain) return chain.links;
  throw failure('Integrity', `point ${point.point} is not whole: ${chain.broken}`, {
    place: `${point.source}/${point.point}`,
    expected: 'every point that it stands on',
    found: chain.broken,
    hint: `take a full backup: lifeboat backup ${point.source}`,
  });
}

function chainCheck(chain: readonly PointSummary[]): Check {
  const found = `${chain.length} points, from ${chain[0]?.point}`;
  return { name: 'every point that it stands on', ok: true, expected: 'down to a full one', found };
}

/** Several at a time; each is decoded by a thread, and nothing of it is kept. */
async function readAll(vault: Vault, objects: readonly WalObject[]): Promise<void> {
  const queue = objects.values();
  const reader = async (): Promise<void> => {
    for (const object of queue) await vault.wal.read(object);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, reader));
}

/** The objects that make the point consistent, each read and compared. */
export async function walCheck(vault: Vault, point: PointSummary, look = 1): Promise<Check> {
  const { systemId, timeline, stopLsn: toLsn } = point;
  const fromLsn = firstNeeded(point);
  const objects = await vault.wal.list({ systemId, timeline, fromLsn, toLsn });
  try {
    await readAll(vault, objects);
  } catch (error) {
    // Pieces that were compacted since they were listed are gone; what replaced them is in a new list.
    if (!isFailure(error, 'NotFound') || look === LOOKS) throw error;
    return walCheck(vault, point, look + 1);
  }
  const held = rangeHolding(rangesOf(objects), timeline, { from: fromLsn, to: toLsn }) !== undefined;
  return {
    name: 'WAL that makes it consistent',
    ok: held,
    expected: `${fromLsn} to ${toLsn} on timeline ${timeline}`,
    found: held ? 'in the vault' : 'not in the vault',
  };
}
