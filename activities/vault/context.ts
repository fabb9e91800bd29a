import { failure } from '../../workflows/model/failure.ts';
import type { Run } from '../io/run.ts';
import type { PartFill } from '../sources/part-sink.ts';
import type { PartUse } from '../sources/source.ts';
import type { StoreSession } from '../stores/store.ts';
import { FORMAT, LONGEST_PLAINTEXT } from './codec/codec.ts';
import type { Brought, Encoded, Kek } from './codec/job.ts';
import type { CodecPool } from './codec/pool.ts';
import type { KekStore } from './keys/key-store.ts';
import type { Layout } from './layout.ts';
import { isWholeMessage, readHeader } from './message.ts';
import { readObject } from './objects.ts';
import type { ReadLimit } from './objects.ts';
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

/** What an object is; its encryption context together with source and format. docs/format.md "Encryption". */
export type Artefact = { artefact: string } & Record<string, string>;

function contextOf(vault: VaultContext, artefact: Artefact): Record<string, string> {
  return { source: vault.options.source, format: FORMAT, ...artefact };
}

export interface Plain {
  bytes: Buffer;
  artefact: Artefact;
  /** The present scope's key when absent. */
  kek?: Kek;
  /** The bytes are not needed any more by the caller. */
  transfer?: boolean;
}

/** Compresses and encrypts. */
export async function encodeWith(vault: VaultContext, input: Plain): Promise<Encoded> {
  const kek = input.kek ?? (await vault.keks.current());
  const context = contextOf(vault, input.artefact);
  const job = { bytes: input.bytes, level: vault.options.compressionLevel, context, kek };
  return vault.codec.encode(job, { transfer: input.transfer ?? false });
}

/** The same for bytes that a thread brings itself. */
export function fillWith(
  vault: VaultContext,
  { fill, artefact, kek }: { fill: PartFill; artefact: Artefact; kek: Kek },
): Promise<Encoded & Brought> {
  const level = vault.options.compressionLevel;
  return vault.codec.fill({ fill, level, context: contextOf(vault, artefact), kek });
}

export interface Wanted {
  artefact: Artefact;
  /** What the manifest promises of the stored bytes. */
  expected?: { bytes: number; sha256: string };
  plainBytes?: number;
  /** Length in the store's listing: room for it is made at once. */
  listedBytes?: number;
  /** What is done with the plaintext in the thread that decodes it; the answer is empty then. */
  use?: PartUse;
}

/** Decrypts stored bytes with the key they name, if they are exactly the wanted artefact. */
export async function decodeWith(
  vault: VaultContext,
  stored: Buffer,
  wanted: Wanted & { place: string },
): Promise<Buffer> {
  return vault.codec.decode(await decoding(vault, stored, wanted));
}

async function decoding<W extends Wanted & { place: string }>(
  vault: VaultContext,
  stored: Buffer,
  { artefact, ...rest }: W,
): Promise<Omit<W, 'artefact'> & { bytes: Buffer; kek: Kek; context: Record<string, string> }> {
  const header = readHeader(stored, rest.place);
  const kek = await vault.keks.named(header.wrappedBy, rest.place);
  return { bytes: stored, kek, context: contextOf(vault, artefact), ...rest };
}

/** Reads and decodes one object. NotFound when it is absent. */
export async function readArtefact(vault: VaultContext, key: string, wanted: Wanted): Promise<Buffer> {
  return decodeWith(vault, await readObject(vault, key, limitOf(wanted)), { ...wanted, place: key });
}

/** The same, but the plaintext is used up in the thread that decodes it; what was said of it. */
export async function useArtefact(
  vault: VaultContext,
  key: string,
  wanted: Wanted & Required<Pick<Wanted, 'use'>>,
): Promise<unknown> {
  const stored = await readObject(vault, key, limitOf(wanted));
  return vault.codec.use(await decoding(vault, stored, { ...wanted, place: key }));
}

function limitOf({ expected, plainBytes, listedBytes }: Wanted): ReadLimit {
  if (!expected) {
    const mostBytes = storedAtMost(plainBytes ?? LONGEST_PLAINTEXT);
    const room = listedBytes === undefined ? {} : { expectedBytes: Math.min(listedBytes, mostBytes) };
    return { mostBytes, isWhole: isWholeMessage, ...room };
  }
  const { bytes } = expected;
  return { mostBytes: bytes, expectedBytes: bytes, isWhole: (stored) => stored.length === bytes };
}

/** Neither compression nor frames add more than a hundredth; header and keys stay far below the rest. */
function storedAtMost(plainBytes: number): number {
  return Math.ceil(plainBytes * 1.01) + 64 * 1024;
}

/** Failure for a name that is not there. */
export function noSuchPoint(source: string, point: string): Error {
  return failure('NotFound', `point ${point} of ${source} does not exist`, {
    expected: 'a published recovery point',
    found: point,
    place: `${source}/${point}`,
    hint: `lifeboat list ${source}`,
  });
}
