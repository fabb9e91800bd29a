import { failure } from '../../workflows/model/failure.ts';
import { formatLsn, lsnKey, parseLsn } from '../../workflows/model/lsn.ts';
import { parseHistory } from '../../workflows/model/timeline.ts';
import type { TimelineHistory, WalObject } from '../../workflows/model/wal.ts';
import type { WalPiece, WalVault } from '../sources/source.ts';
import { encodeWith, readArtefact } from './context.ts';
import type { VaultContext } from './context.ts';
import { parseWalKey } from './layout.ts';

type Named = Omit<WalObject, 'key' | 'storedBytes'>;

/** Longest range one object may cover: listings start this much before the position asked for. */
const LONGEST_OBJECT_BYTES = 64n * 1024n * 1024n;

function walArtefact(object: Named): Record<string, string> {
  const { systemId, timeline, startLsn, endLsn } = object;
  return { artefact: 'wal', system: systemId, timeline: String(timeline), start: startLsn, end: endLsn };
}

const historyArtefact = (systemId: string, timeline: number): Record<string, string> => ({
  artefact: 'history',
  system: systemId,
  timeline: String(timeline),
});

export function walOf(vault: VaultContext): WalVault {
  const { store, layout } = vault;
  const read = (object: Named, key: string): Promise<Buffer> =>
    readArtefact(vault, key, { artefact: walArtefact(object), plainBytes: lengthOf(object) });
  return {
    list: (query) => listWal(vault, query),
    put: async (piece, bytes) => {
      const object = named(piece, bytes.length);
      const key = layout.walObject(object);
      const encoded = await encodeWith(vault, { bytes, artefact: walArtefact(object) });
      if ((await store.put(key, encoded.bytes, { ifAbsent: true })).created) return 'stored';
      // Taken: by an earlier attempt of ours, or by another server that writes the same positions.
      if ((await read(object, key)).equals(bytes)) return 'present';
      throw conflict(key);
    },
    read: (object) => read(object, object.key),
    remove: (object) => store.remove(object.key),
    histories: (systemId) => listHistories(vault, systemId),
    readHistory: async (systemId, timeline) => {
      const key = layout.history(systemId, timeline);
      if (!(await store.stat(key))) return undefined;
      return readArtefact(vault, key, { artefact: historyArtefact(systemId, timeline) });
    },
    putHistory: async (systemId, timeline, content) => {
      const key = layout.history(systemId, timeline);
      const encoded = await encodeWith(vault, { bytes: content, artefact: historyArtefact(systemId, timeline) });
      if ((await store.put(key, encoded.bytes, { ifAbsent: true })).created) return 'stored';
      if ((await readArtefact(vault, key, { artefact: historyArtefact(systemId, timeline) })).equals(content))
        return 'present';
      throw conflict(key);
    },
  };
}

function named(piece: WalPiece, bytes: number): Named {
  return { ...piece, endLsn: formatLsn(parseLsn(piece.startLsn) + BigInt(bytes)) };
}

function lengthOf(object: Named): number {
  return Number(parseLsn(object.endLsn) - parseLsn(object.startLsn));
}

function conflict(key: string): Error {
  return failure('Integrity', `${key} holds other bytes than the server sends`, {
    place: key,
    expected: 'one server that writes this timeline',
    found: 'two histories of one timeline',
    hint: 'a restored or promoted copy may be shipping here: give it a source of its own; then take a new base with lifeboat backup',
  });
}

async function listWal(
  vault: VaultContext,
  query: { systemId: string; timeline?: number; fromLsn?: string },
): Promise<WalObject[]> {
  const prefix = vault.layout.wal(query.systemId, query.timeline);
  const from = query.fromLsn === undefined ? 0n : parseLsn(query.fromLsn);
  const early = from > LONGEST_OBJECT_BYTES ? from - LONGEST_OBJECT_BYTES : 0n;
  const startAfter = query.timeline === undefined || early === 0n ? {} : { startAfter: `${prefix}${lsnKey(early)}` };
  const objects: WalObject[] = [];
  for await (const stat of vault.store.list(prefix, startAfter)) {
    const object = parseWalKey(stat);
    if (object && parseLsn(object.endLsn) > from) objects.push(object);
  }
  return objects;
}

async function listHistories(vault: VaultContext, systemId: string): Promise<TimelineHistory[]> {
  const histories: TimelineHistory[] = [];
  const prefix = vault.layout.history(systemId);
  for await (const { key } of vault.store.list(prefix)) {
    const timeline = Number.parseInt(key.slice(prefix.length), 16);
    const content = await readArtefact(vault, key, { artefact: historyArtefact(systemId, timeline) });
    histories.push(parseHistory(timeline, content.toString('utf8')));
  }
  return histories;
}
