import { failure } from '../../workflows/model/failure.ts';
import type { Run } from '../io/run.ts';
import type { StoreSession } from '../stores/store.ts';
import type { Encoded } from './codec/job.ts';
import type { CodecPool } from './codec/pool.ts';
import type { KekStore } from './keys/key-store.ts';
import type { Layout } from './layout.ts';
import { messageBytes, readHeader } from './message.ts';
import { readObject } from './objects.ts';
import type { VaultOptions } from './vault.ts';

/** What every part of an opened vault shares. */
export interface VaultContext {
  store: StoreSession;
  layout: Layout;
  options: VaultOptions;
  keks: KekStore;
  codec: CodecPool;
  run: Run;
}

/** Encryption context of an artefact: clear text, bound to the ciphertext; docs/format.md "Encryption". */
export function contextFor(vault: VaultContext, artefact: Record<string, string>): Record<string, string> {
  return { source: vault.options.source, format: '1', ...artefact };
}

export interface Plain {
  bytes: Buffer;
  artefact: Record<string, string>;
  /** The bytes are not needed any more by the caller. */
  transfer?: boolean;
}

/** Compresses and encrypts under the present scope's key. */
export async function encodeWith(vault: VaultContext, input: Plain): Promise<Encoded> {
  const kek = await vault.keks.current();
  const context = contextFor(vault, input.artefact);
  const job = { bytes: input.bytes, level: vault.options.compressionLevel, context, kek };
  return vault.codec.encode(job, { transfer: input.transfer ?? false });
}

export interface Wanted {
  place: string;
  artefact: Record<string, string>;
  expected?: { bytes: number; sha256: string };
  plainBytes?: number;
}

/** Decrypts stored bytes with the key they name, if they are exactly the wanted artefact. */
export async function decodeWith(vault: VaultContext, stored: Buffer, wanted: Wanted): Promise<Buffer> {
  const { artefact, ...rest } = wanted;
  const header = readHeader(stored, wanted.place);
  const kek = await vault.keks.named(header.wrappedBy, wanted.place);
  return vault.codec.decode({ bytes: stored, kek, context: contextFor(vault, artefact), ...rest });
}

/** How often an object is read again when its bytes are wrong: a proxy may cut a stream without an error. */
const READS = 3;

export async function readArtefact(vault: VaultContext, key: string, wanted: Omit<Wanted, 'place'>): Promise<Buffer> {
  for (let attempt = 1; ; attempt++) {
    const stored = await readObject(vault.store, key);
    const whole = isWhole(stored, wanted, key);
    if (whole || attempt === READS) return decodeWith(vault, stored, { ...wanted, place: key });
    vault.run.log.warn(`${key} came back short`, { attempt, bytes: stored.length });
  }
}

/** Cheap test before the full check: a stream that ended early is worth another read, a forged one is not. */
function isWhole(stored: Buffer, wanted: Omit<Wanted, 'place'>, place: string): boolean {
  if (wanted.expected) return stored.length >= wanted.expected.bytes;
  try {
    return messageBytes(stored, readHeader(stored, place)) !== -1;
  } catch {
    return false;
  }
}

/** Failure for a name that is not there. */
export function noSuchPoint(source: string, point: string): Error {
  return failure('NotFound', `point ${point} of ${source} does not exist`, {
    place: `${source}/${point}`,
    hint: `lifeboat list ${source}`,
  });
}
