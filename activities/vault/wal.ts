import { failure, isFailure } from '../../workflows/model/failure.ts';
import { compareLsn, formatLsn, lsnDistanceBytes, lsnKey, parseLsn } from '../../workflows/model/lsn.ts';
import { parseHistory } from '../../workflows/model/timeline.ts';
import { gapsOf, rangesOf } from '../../workflows/model/wal-coverage.ts';
import { LONGEST_WAL_OBJECT_BYTES } from '../../workflows/model/wal.ts';
import type { TimelineHistory, WalObject } from '../../workflows/model/wal.ts';
import type { WalPiece, WalVault } from '../sources/source.ts';
import { encodeWith, readArtefact, useArtefact } from './context.ts';
import type { Artefact, VaultContext } from './context.ts';
import { parseHistoryKey, parseWalKey } from './layout.ts';

type Named = Omit<WalObject, 'key' | 'storedBytes'>;

interface WalQuery {
  systemId: string;
  timeline?: number;
  fromLsn?: string;
  toLsn?: string;
}

export function walOf(vault: VaultContext): WalVault {
  const { store, layout } = vault;
  return {
    list: (query) => listWal(vault, query),
    put: (piece, bytes) => putWal(vault, piece, bytes),
    read: (object) => readWal(vault, object),
    use: (object, use) => useArtefact(vault, object.key, { ...wantedOf(object), use }),
    systems: () => listSystems(vault),
    remove: (object) => store.remove(object.key),
    histories: (systemId) => listHistories(vault, systemId),
    readHistory: async (systemId, timeline) => {
      const key = layout.history(systemId, timeline);
      if (!(await store.stat(key))) return undefined;
      return readArtefact(vault, key, { artefact: historyArtefact(systemId, timeline) });
    },
    putHistory: (systemId, timeline, content) => putHistory(vault, { systemId, timeline }, content),
    putFile: (systemId, name, content) => putFile(vault, { systemId, name }, content),
  };
}

/**
 * A hole counts when two looks agree on it: pieces that are compacted while we list may be gone before their names are
 * reached, and the object that replaces them may have come behind the place where we were.
 */
async function listWal(vault: VaultContext, query: WalQuery): Promise<WalObject[]> {
  let before: string | undefined;
  for (;;) {
    const objects: WalObject[] = [];
    for await (const object of walObjects(vault, query)) objects.push(object);
    const holes = JSON.stringify(gapsOf(rangesOf(objects)));
    if (holes === '[]' || holes === before) return objects;
    before = holes;
  }
}

async function* walObjects(vault: VaultContext, query: WalQuery): AsyncIterable<WalObject> {
  const prefix = vault.layout.wal(query.systemId, query.timeline);
  const from = query.fromLsn === undefined ? 0n : parseLsn(query.fromLsn);
  const to = query.toLsn === undefined ? undefined : parseLsn(query.toLsn);
  // The object that covers a position starts at most one object's length before it.
  const early = from - BigInt(LONGEST_WAL_OBJECT_BYTES);
  const startAfter = query.timeline === undefined || early <= 0n ? {} : { startAfter: `${prefix}${lsnKey(early)}` };
  for await (const stat of vault.store.list(prefix, startAfter)) {
    const object = parseWalKey(stat);
    if (!object) continue;
    if (to !== undefined && parseLsn(object.startLsn) >= to) {
      // Names of one timeline ascend by start: nothing behind is wanted either.
      if (query.timeline !== undefined) return;
      continue;
    }
    if (parseLsn(object.endLsn) > from) yield object;
  }
}

/** Stores a piece unless one object has all of it; every object that overlaps it must say the same. */
async function putWal(vault: VaultContext, piece: WalPiece, bytes: Buffer): Promise<'stored' | 'present'> {
  const object = named(piece, bytes);
  let covered = false;
  for (const other of await overlapping(vault, object)) {
    const same = await agrees(vault, other, { object, bytes });
    covered ||= same && covers(other, object);
  }
  if (covered) return 'present';
  const key = vault.layout.walObject(object);
  const encoded = await encodeWith(vault, { bytes, artefact: walArtefact(object) });
  if ((await vault.store.put(key, encoded.bytes, { ifAbsent: true })).created) return 'stored';
  // Taken since we looked: by an earlier attempt of ours that was late, or by another server.
  await agrees(vault, { ...object, key, storedBytes: encoded.bytes.length }, { object, bytes });
  return 'present';
}

function named(piece: WalPiece, bytes: Buffer): Named {
  const { systemId, timeline, startLsn, lastCommitMicros } = piece;
  if (bytes.length === 0 || bytes.length > LONGEST_WAL_OBJECT_BYTES) {
    throw failure('Bug', `WAL object at ${startLsn} has ${bytes.length} bytes`, {
      expected: `1 to ${LONGEST_WAL_OBJECT_BYTES} bytes`,
    });
  }
  const endLsn = formatLsn(parseLsn(startLsn) + BigInt(bytes.length));
  const commit = lastCommitMicros === undefined ? {} : { lastCommitMicros };
  return { systemId, timeline, startLsn, endLsn, ...commit };
}

async function overlapping(vault: VaultContext, object: Named): Promise<WalObject[]> {
  const { systemId, timeline, startLsn, endLsn } = object;
  const found: WalObject[] = [];
  for await (const other of walObjects(vault, { systemId, timeline, fromLsn: startLsn })) {
    // Names ascend by start: nothing behind overlaps either.
    if (compareLsn(other.startLsn, endLsn) >= 0) break;
    found.push(other);
  }
  return found;
}

function covers(other: Named, object: Named): boolean {
  return compareLsn(other.startLsn, object.startLsn) <= 0 && compareLsn(other.endLsn, object.endLsn) >= 0;
}

/** True when the bytes in common are the same, false when the other object is gone; Integrity when they differ. */
async function agrees(
  vault: VaultContext,
  other: WalObject,
  { object, bytes }: { object: Named; bytes: Buffer },
): Promise<boolean> {
  const stored = await readIfThere(vault, other);
  if (!stored) return false;
  const offset = lsnDistanceBytes(object.startLsn, other.startLsn);
  const ours = bytes.subarray(Math.max(offset, 0), offset + stored.length);
  const theirs = stored.subarray(Math.max(-offset, 0), bytes.length - offset);
  if (ours.equals(theirs)) return true;
  throw failure('Integrity', `WAL ${object.startLsn} to ${object.endLsn} is not what ${other.key} holds`, {
    place: other.key,
    expected: 'one server that writes this timeline',
    found: `two histories of timeline ${object.timeline}`,
    hint: 'a restored or promoted copy may be shipping here: give it a source of its own; then take a new base with lifeboat backup',
  });
}

async function readIfThere(vault: VaultContext, object: WalObject): Promise<Buffer | undefined> {
  try {
    return await readWal(vault, object);
  } catch (error) {
    if (isFailure(error, 'NotFound') && !(await vault.store.stat(object.key))) return undefined;
    throw error;
  }
}

function readWal(vault: VaultContext, object: WalObject): Promise<Buffer> {
  return readArtefact(vault, object.key, wantedOf(object));
}

function wantedOf(object: WalObject): { artefact: Artefact; plainBytes: number; listedBytes: number } {
  const plainBytes = lsnDistanceBytes(object.startLsn, object.endLsn);
  return { artefact: walArtefact(object), plainBytes, listedBytes: object.storedBytes };
}

/** Asks for the first key behind each cluster's: a vault has millions of them. */
async function listSystems({ store, layout }: VaultContext): Promise<string[]> {
  const systems: string[] = [];
  const prefix = layout.wal('').slice(0, -1);
  for (let after: string | undefined = prefix; after !== undefined;) {
    const from: string = after;
    after = undefined;
    for await (const { key } of store.list(prefix, { startAfter: from })) {
      const system = /^(\d{1,20})\//.exec(key.slice(prefix.length))?.[1];
      if (system !== undefined) systems.push(system);
      // "0" follows "/": behind all that begins with this name and a slash.
      after = `${prefix}${key.slice(prefix.length).split('/')[0]}0`;
      break;
    }
  }
  return systems;
}

function walArtefact(object: Named): Artefact {
  const { systemId, timeline, startLsn, endLsn, lastCommitMicros } = object;
  const commit = lastCommitMicros === undefined ? {} : { commit: String(lastCommitMicros) };
  return { artefact: 'wal', system: systemId, timeline: String(timeline), start: startLsn, end: endLsn, ...commit };
}

async function listHistories(vault: VaultContext, systemId: string): Promise<TimelineHistory[]> {
  const histories: TimelineHistory[] = [];
  for await (const { key } of vault.store.list(vault.layout.history(systemId))) {
    const timeline = parseHistoryKey(key);
    if (timeline === undefined) continue;
    const content = await readArtefact(vault, key, { artefact: historyArtefact(systemId, timeline) });
    histories.push(parseHistory(timeline, content.toString('utf8')));
  }
  return histories;
}

async function putHistory(
  vault: VaultContext,
  { systemId, timeline }: { systemId: string; timeline: number },
  content: Buffer,
): Promise<'stored' | 'present'> {
  const key = vault.layout.history(systemId, timeline);
  const artefact = historyArtefact(systemId, timeline);
  const encoded = await encodeWith(vault, { bytes: content, artefact });
  if ((await vault.store.put(key, encoded.bytes, { ifAbsent: true })).created) return 'stored';
  if ((await readArtefact(vault, key, { artefact })).equals(content)) return 'present';
  throw failure('Integrity', `history of timeline ${timeline} is not what ${key} holds`, {
    place: key,
    expected: 'one promotion that made this timeline',
    found: 'two histories of one number',
    hint: 'two servers were promoted to the same timeline: give one of them a source of its own',
  });
}

async function putFile(
  vault: VaultContext,
  { systemId, name }: { systemId: string; name: string },
  content: Buffer,
): Promise<'stored' | 'present'> {
  const key = vault.layout.walFile(systemId, name);
  const artefact = { artefact: 'wal-file', system: systemId, name };
  const encoded = await encodeWith(vault, { bytes: content, artefact });
  if ((await vault.store.put(key, encoded.bytes, { ifAbsent: true })).created) return 'stored';
  if ((await readArtefact(vault, key, { artefact })).equals(content)) return 'present';
  throw failure('Integrity', `WAL file ${name} is not what ${key} holds`, {
    place: key,
    expected: 'the same bytes as were archived before',
    found: 'others under the same name',
    hint: 'two servers archive here: give one of them a source of its own',
  });
}

function historyArtefact(systemId: string, timeline: number): Artefact {
  return { artefact: 'history', system: systemId, timeline: String(timeline) };
}
