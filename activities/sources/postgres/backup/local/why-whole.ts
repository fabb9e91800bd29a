import { findFailure, isFailure } from '../../../../../workflows/model/failure.ts';
import { formatLsn, parseLsn } from '../../../../../workflows/model/lsn.ts';
import type { Identity, Manifest, MatchedSettings } from '../../../../../workflows/model/manifest.ts';
import type { PointReader } from '../../../source.ts';
import type { Unable } from '../why-full.ts';
import { unfitParent } from '../why-full.ts';
import { ParentSums } from './parent-sums.ts';

interface Now {
  identity: Identity;
  settings: MatchedSettings;
  startLsn: bigint;
  /** Why the server itself cannot tell what changed. */
  unable: Unable;
}

/** Why the files cannot be compared with what `parent` has, and are read whole; undefined when they can. */
export async function whyWhole(parent: PointReader, now: Now): Promise<string | undefined> {
  const { manifest } = parent;
  return (
    unfitParent({ before: now, parent: manifest }) ??
    withoutSums(manifest, now.unable) ??
    laterParent(manifest, now.startLsn) ??
    (await damagedSums(parent))
  );
}

function withoutSums({ point, blockSums }: Manifest, { found, hint }: Unable): string | undefined {
  return blockSums ? undefined : `${found}: ${hint}; and ${point} keeps no sums of pages to compare them with`;
}

/** A cluster that was restored to an earlier moment: nobody would look for its increment behind such a parent. */
function laterParent({ point, startLsn }: Manifest, now: bigint): string | undefined {
  if (parseLsn(startLsn) <= now) return undefined;
  return `${point} begins at ${startLsn}, behind ${formatLsn(now)} where this backup does`;
}

/** Found before the first part is written; a store that is away is waited for. */
async function damagedSums(parent: PointReader): Promise<string | undefined> {
  try {
    await new ParentSums(parent).check();
    return undefined;
  } catch (error) {
    if (!isFailure(error, 'Integrity') && !isFailure(error, 'NotFound')) throw error;
    return `${parent.manifest.point} is damaged: ${findFailure(error)?.message ?? String(error)}`;
  }
}
