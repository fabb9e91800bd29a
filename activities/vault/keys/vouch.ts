import { failure, isFailure } from '../../../workflows/model/failure.ts';
import { FORMAT, decode } from '../codec/codec.ts';
import type { Kek } from '../codec/job.ts';
import type { Layout } from '../layout.ts';
import { pointsWithManifest } from '../listing.ts';
import { unseal, WITHDRAWN_FORMAT } from '../manifest/envelope.ts';
import { readSealed } from '../manifest/store.ts';
import type { Reader } from '../objects.ts';
import { readHeader } from '../message.ts';
import type { KeyRing } from '../vault.ts';
import { sameName } from './kek.ts';

export interface Vouching extends Reader {
  layout: Layout;
  source: string;
  /** Whose signatures count. */
  trusted: KeyRing['trusted'];
}

/**
 * Of these key-encryption keys, those that no signed manifest in the store was encrypted with. A signature covers the
 * encrypted manifest with its key commitment, so a key that opens it is the one its signer had: nobody can make another
 * one that does. Manifests without a trusted signature say nothing. Integrity when a signed one names a key that does not
 * open it. Newest points first, until every key is found.
 */
export async function findUnvouched(at: Vouching, keks: readonly Kek[]): Promise<Kek[]> {
  let open = [...keks];
  if (open.length === 0) return open;
  const points: string[] = [];
  for await (const point of pointsWithManifest(at)) points.push(point);
  for (const point of points.reverse()) {
    at.run.signal.throwIfAborted();
    const body = await signedBody(at, point);
    const kek = body && named(at.layout.manifest(point), body, open);
    if (!kek) continue;
    checkOpens(at, kek, { point, body });
    open = open.filter((each) => each !== kek);
    if (open.length === 0) break;
  }
  return open;
}

/** The encrypted manifest of a point, when somebody we trust signed it. */
async function signedBody(at: Vouching, point: string): Promise<Buffer | undefined> {
  const place = at.layout.manifest(point);
  const sealed = await readSealed(at, place);
  if (!sealed) return undefined;
  try {
    const { format, body } = unseal({ trusted: at.trusted }, { source: at.source, point, place }, sealed);
    return format === WITHDRAWN_FORMAT ? undefined : body;
  } catch (error) {
    if (isFailure(error, 'Integrity') || isFailure(error, 'Unsupported')) return undefined;
    throw error;
  }
}

function named(place: string, body: Buffer, keks: readonly Kek[]): Kek | undefined {
  const { wrappedBy } = readHeader(body, place);
  return keks.find((kek) => wrappedBy.some((name) => sameName(name, kek)));
}

function checkOpens(at: Vouching, kek: Kek, { point, body }: { point: string; body: Buffer }): void {
  const place = at.layout.manifest(point);
  const context = { source: at.source, format: FORMAT, artefact: 'manifest', point };
  try {
    decode({ kind: 'decode', bytes: Uint8Array.from(body), context, kek, place });
  } catch (error) {
    if (!isFailure(error, 'Integrity')) throw error;
    throw failure('Integrity', `key file of ${kek.name} holds another key than the one its backups were made with`, {
      place: `${at.source}/keys/`,
      expected: `the key that opens the signed manifest ${place}`,
      found: 'one that does not',
      hint: 'put back the key file from another copy of this vault',
    });
  }
}
