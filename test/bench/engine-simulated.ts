import { Readable } from 'node:stream';
import { Packer } from '../../activities/sources/postgres/backup/packer.ts';
import type { TarEntry } from '../../activities/sources/postgres/backup/tar.ts';
import { checkChain } from '../../activities/sources/postgres/recovery/chain.ts';
import { placementsByPart } from '../../activities/sources/postgres/recovery/parts.ts';
import type { StoreSession } from '../../activities/stores/store.ts';
import { openVault } from '../../activities/vault/index.ts';
import type { BackupFacts } from '../../activities/sources/source.ts';
import { failure } from '../../workflows/model/failure.ts';
import type { RecoveryPlan } from '../../workflows/model/recovery.ts';
import type { Facts, JobOf, Tools } from './engine-tools.ts';
import { cpuMsSince, VAULT } from './engine-tools.ts';
import { peakRssBytesOf } from './measured.ts';

/** As large as what a walsender sends at once. */
const CHUNK_BYTES = 256 * 1024;
const PAGE_BYTES = 8192;
/** One page of so many holds something; the rest are zeros, as of a relation that was extended and never filled. */
const SPARSE = 16;
const SEGMENT_BYTES = 2 ** 30;
const POINT = 'simulated';

/**
 * A backup whose files a sender makes up, through the packer, the codec and the vault as they are, into a store that keeps no
 * part; then what a restore asks of its manifest before the first byte. Peak memory after the first quarter is told apart: it
 * should be that of all.
 */
export async function simulate(job: JobOf<'simulate'>, { keys, run }: Tools): Promise<Facts> {
  const store = new Discarding();
  await using vault = await openVault(store, { ...VAULT, source: 'bench', keys }, run);
  await using draft = await vault.begin(POINT);
  const packer = new Packer(draft);
  packer.startTree('base');
  const files = job.files ?? Math.ceil(job.bytes / SEGMENT_BYTES);
  const fileBytes = job.bytes / files;
  const [startedMs, before] = [performance.now(), process.cpuUsage()];
  const quarter: Facts = {};
  for (let file = 0; file < files; file++) {
    await send(packer, file, fileBytes);
    if (file !== Math.floor(files / 4)) continue;
    quarter['quarterMs'] = performance.now() - startedMs;
    quarter['quarterCpuMs'] = cpuMsSince(before);
    quarter['quarterRssBytes'] = await peakRssBytesOf(process.pid);
  }
  const parts = await packer.finish();
  await draft.finish({ ...FACTS, parts, trees: packer.trees });
  const { bytes, storedBytes } = await vault.publish(POINT);
  const reader = await vault.open(POINT);
  await checkChain({ base: { point: POINT } } as unknown as RecoveryPlan, reader);
  const placed = placementsByPart(reader.manifest, (_tree, { path }) => ({ path: `/restored/${path}` }));
  if (placed.size !== parts.length) throw new Error(`${placed.size} of ${parts.length} parts have a place`);
  return { bytes, storedBytes, ...quarter };
}

async function send(packer: Packer, file: number, bytes: number): Promise<void> {
  const entry: Omit<TarEntry, 'bytes'> = { path: `base/5/${16384 + file}`, type: 'file', mode: 0o600, mtimeMs: 0 };
  packer.startEntry(entry);
  for (let at = 0; at < bytes; at += CHUNK_BYTES) {
    const length = Math.min(CHUNK_BYTES, bytes - at);
    CHUNK.writeDoubleLE(file + at / CHUNK_BYTES, 0);
    packer.add(length === CHUNK_BYTES ? CHUNK : CHUNK.subarray(0, length));
    const room = packer.room();
    if (room) await room;
  }
  packer.endEntry();
}

const CHUNK = Buffer.alloc(CHUNK_BYTES);
for (let page = 0; page < CHUNK_BYTES / PAGE_BYTES; page += SPARSE) {
  // Numbers that do not repeat, and no source of chance: everybody's are the same.
  for (let at = 0; at < PAGE_BYTES; at += 4) {
    CHUNK.writeUInt32LE(Math.imul(page * PAGE_BYTES + at + 1, 2654435761) >>> 0, page * PAGE_BYTES + at);
  }
}

const AT = '2026-01-05T03:00:00.000Z';
const FACTS: Omit<BackupFacts, 'parts' | 'trees'> = {
  identity: {
    ...{ kind: 'postgres', systemId: '7312345678901234567', serverVersion: 180004, timeline: 1 },
    ...{ segmentBytes: 1 << 24, sizeBytes: 0 },
  },
  ...{ timeline: 1, startLsn: '0/3000028', stopLsn: '0/3000158', startedAt: AT, stoppedAt: AT },
  ...{ consistency: 'consistent-after-wal', pageChecksums: true, settings: {} },
};

/** Keeps what is small or a manifest; of parts it knows that they were stored, and how long they are. */
class Discarding implements StoreSession {
  readonly #kept = new Map<string, Buffer>();
  readonly #bytes = new Map<string, number>();

  async put(key: string, body: Parameters<StoreSession['put']>[1]): Promise<{ created: boolean }> {
    if (!(body instanceof Uint8Array)) throw new Error(`${key} is a stream`);
    this.#bytes.set(key, body.length);
    if (!/\/p\d+$/.test(key)) this.#kept.set(key, Buffer.from(body));
    return { created: true };
  }

  async get(key: string): Promise<Readable> {
    const bytes = this.#kept.get(key);
    if (!bytes) throw failure('NotFound', `${key} is not there`);
    return Readable.from([bytes], { objectMode: false });
  }

  async stat(key: string): ReturnType<StoreSession['stat']> {
    const bytes = this.#bytes.get(key);
    return bytes === undefined ? undefined : { key, bytes, modifiedAt: AT };
  }

  async *list(prefix: string): ReturnType<StoreSession['list']> {
    for (const key of [...this.#bytes.keys()].toSorted()) {
      if (key.startsWith(prefix)) yield { key, bytes: this.#bytes.get(key) ?? 0, modifiedAt: AT };
    }
  }

  async remove(key: string): Promise<void> {
    this.#kept.delete(key);
    this.#bytes.delete(key);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
