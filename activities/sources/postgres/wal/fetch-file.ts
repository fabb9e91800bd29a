import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { failure, isFailure } from '../../../../workflows/model/failure.ts';
import { segmentName } from '../../../../workflows/model/lsn.ts';
import { historyOf, isOnHistory } from '../../../../workflows/model/timeline.ts';
import { translateFileError } from '../../../io/file-failure.ts';
import type { Run } from '../../../io/run.ts';
import type { WalVault } from '../../source.ts';
import type { WalFileWish } from '../../standby-wishes.ts';
import { controlSizes } from '../control-sizes.ts';
import { readControlFile } from '../backup/local/control-file.ts';
import type { Neighbours } from '../recovery/inside-copy.ts';
import { InsideCopy, undefinedIfDamaged } from '../recovery/inside-copy.ts';
import type { ArchivedFile } from './archive/file-name.ts';
import { parseFileName } from './archive/file-name.ts';
import type { Cluster, SegmentPlace } from './stored-segment.ts';
import { storedSegment } from './stored-segment.ts';
import { segmentUpToEnd } from './whole-segment.ts';

type Segment = Extract<ArchivedFile, { kind: 'segment' }>;

/** Names of histories are the same whatever the size. */
const ANY_SEGMENT_BYTES = 16 << 20;

/** What restore_command of a server on this host is given; undefined only when the vault was asked. */
export async function walFile(vault: WalVault, wish: WalFileWish, run: Run): Promise<Buffer | undefined> {
  const { systemId, segmentBytes } = await clusterOf(wish, run);
  const file = parseFileName(wish.name, segmentBytes ?? ANY_SEGMENT_BYTES);
  if (file?.kind === 'history') return vault.readHistory(systemId, file.timeline);
  if (file?.kind !== 'segment') return undefined;
  if (segmentBytes === undefined) throw noDataDirectory(wish, 'its segments have a size that only it knows');
  return segmentFile(vault, { cluster: { systemId, segmentBytes }, file, wish }, run);
}

async function clusterOf(wish: WalFileWish, run: Run): Promise<Partial<Cluster> & Pick<Cluster, 'systemId'>> {
  const { systemId: told, segmentBytes: size } = wish;
  if (told !== undefined && size !== undefined) return { systemId: told, segmentBytes: size };
  const path = join(wish.data, 'global/pg_control');
  try {
    const { bytes, systemId } = await readControlFile(path, run);
    return { systemId, segmentBytes: segmentBytesIn(bytes, path) };
  } catch (error) {
    if (!isFailure(error, 'NotFound')) throw error;
    if (wish.systemId === undefined) throw noDataDirectory(wish, 'it says of which cluster the WAL is wanted');
    return { systemId: wish.systemId };
  }
}

function noDataDirectory({ data }: WalFileWish, why: string): Error {
  return failure('Precondition', `${data} is no data directory: ${why}`, {
    place: join(data, 'global/pg_control'),
    expected: 'the data directory of the server that wants WAL',
    found: 'no global/pg_control',
    hint: 'restore_command is run by the server in its data directory; by hand: cd DATA_DIRECTORY',
  });
}

const SEGMENT = { least: 1 << 20, most: 1 << 30 };

function segmentBytesIn(control: Buffer, path: string): number {
  const bytes = controlSizes(control)?.segmentBytes ?? 0;
  if (bytes >= SEGMENT.least && bytes <= SEGMENT.most && (bytes & (bytes - 1)) === 0) return bytes;
  throw failure('Unsupported', `${path} does not say how long a WAL segment is`, {
    place: path,
    expected: 'pg_control of PostgreSQL 15 to 18, from 1 MiB to 1 GiB',
    found: `${bytes} bytes`,
  });
}

interface Wanted {
  cluster: Cluster;
  file: Segment;
  wish: WalFileWish;
}

async function segmentFile(vault: WalVault, wanted: Wanted, run: Run): Promise<Buffer | undefined> {
  const { cluster, file, wish } = wanted;
  const found = await segmentUpToEnd(vault, { cluster, place: file, waitMs: wish.waitMs }, run);
  if (!found || (wish.wholeOnly && found.knownBytes < cluster.segmentBytes)) return undefined;
  const { bytes } = found;
  const asStored = wish.keepInside ? Buffer.from(bytes) : bytes;
  const inside = new InsideCopy();
  if (wish.keepInside) await inside.keep(bytes, file, neighboursOf(vault, cluster, file));
  // Whole in the vault, and not what the server is given: its last record goes on where nothing is stored yet.
  if (wish.wholeOnly && inside.emptiedFrom !== undefined) return undefined;
  const knownBytes = Math.min(found.knownBytes, inside.emptiedFrom ?? found.knownBytes);
  if (knownBytes === cluster.segmentBytes) return bytes;
  const own = await beginningOf(join(wish.walFolder, file.name), knownBytes);
  // The server puts what it is given in the place of its own file, which may have come further: what it streamed would be lost.
  const isKnown = own && [asStored, bytes].some((known) => known.subarray(0, knownBytes).equals(own));
  return isKnown ? undefined : bytes;
}

/** Undefined when there is no file, or a shorter one. */
async function beginningOf(path: string, bytes: number): Promise<Buffer | undefined> {
  try {
    return await translateFileError(path, async () => {
      const file = await open(path);
      try {
        const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0);
        return bytesRead === bytes ? buffer : undefined;
      } finally {
        await file.close();
      }
    });
  } catch (error) {
    if (isFailure(error, 'NotFound')) return undefined;
    throw error;
  }
}

function neighboursOf(vault: WalVault, cluster: Cluster, { timeline, start }: SegmentPlace): Neighbours {
  const size = BigInt(cluster.segmentBytes);
  const read = (place: SegmentPlace): Promise<Buffer | undefined> =>
    storedSegment(vault, cluster, place).then((found) => found?.bytes, undefinedIfDamaged);
  return {
    before: async () => {
      if (start < size) return [];
      const ancestors = historyOf(await vault.histories(cluster.systemId), timeline)?.ancestors ?? [];
      return [timeline, ...ancestors.map((each) => each.timeline)].map((other) => {
        const place = { timeline: other, start: start - size };
        const name = segmentName(other, place.start, cluster.segmentBytes);
        return { place: { start: place.start, name }, content: () => read(place) };
      });
    },
    behind: async () => {
      const heirs = (await vault.histories(cluster.systemId)).filter((history) =>
        isOnHistory(history, timeline, '0/0'),
      );
      const timelines = new Set([timeline, ...heirs.map((each) => each.timeline)]);
      const found = await Promise.all([...timelines].map((other) => read({ timeline: other, start: start + size })));
      return found.filter((content) => content !== undefined);
    },
  };
}
