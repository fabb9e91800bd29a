import { constants, createPublicKey, randomBytes } from 'node:crypto';
import {
  MultiKeyringNode,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
  RawRsaKeyringNode,
} from '@aws-crypto/client-node';
import { failure } from '../../../workflows/model/failure.ts';
import { esdk, MESSAGE_OPTIONS } from '../codec/codec.ts';
import type { Kek } from '../codec/job.ts';
import { messageBytes, readHeader } from '../message.ts';
import type { KeyRing } from '../vault.ts';
import { publicId } from './files.ts';

export const ROOT_NAMESPACE = 'lifeboat-root';
export const RECOVERY_NAMESPACE = 'lifeboat-recovery';
const KEK_BYTES = 32;

export function kekNamespace(source: string): string {
  return `lifeboat/${source}`;
}

function rootKeyring(keys: KeyRing): RawAesKeyringNode {
  return new RawAesKeyringNode({
    keyNamespace: ROOT_NAMESPACE,
    keyName: keys.root.id,
    unencryptedMasterKey: Uint8Array.from(keys.root.key),
    wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  });
}

/** The root wraps; the recovery key, of which only the public half is here, can open it too. */
function wrappingKeyring(keys: KeyRing): MultiKeyringNode {
  const children = keys.recoveryPublic === undefined ? [] : [recoveryKeyring(keys.recoveryPublic)];
  return new MultiKeyringNode({ generator: rootKeyring(keys), children });
}

function recoveryKeyring(publicPem: string): RawRsaKeyringNode {
  return new RawRsaKeyringNode({
    keyNamespace: RECOVERY_NAMESPACE,
    keyName: publicId(createPublicKey(publicPem)),
    rsaKey: { publicKey: publicPem },
    padding: constants.RSA_PKCS1_OAEP_PADDING,
    oaepHash: 'sha256',
  });
}

function contextOf(source: string, scope: string): Record<string, string> {
  return { artefact: 'kek', source, scope, format: '1' };
}

/** A new key-encryption key and the content of its key file. */
export async function createKek(keys: KeyRing, source: string, scope: string): Promise<{ kek: Kek; file: Buffer }> {
  const key = randomBytes(KEK_BYTES);
  return {
    kek: { namespace: kekNamespace(source), name: scope, key },
    file: await wrapKek(keys, { source, scope, key }),
  };
}

export async function wrapKek(keys: KeyRing, kek: { source: string; scope: string; key: Uint8Array }): Promise<Buffer> {
  const { result } = await esdk.encrypt(wrappingKeyring(keys), kek.key, {
    ...MESSAGE_OPTIONS,
    encryptionContext: contextOf(kek.source, kek.scope),
  });
  return result;
}

/** Opens a key file with the root key. Integrity when it is another scope's; Denied when this root did not wrap it. */
export async function openKek(
  keys: KeyRing,
  at: { source: string; scope: string; place: string },
  file: Buffer,
): Promise<Kek> {
  const { source, scope, place } = at;
  const header = readHeader(file, place);
  const sameContext = Object.entries(contextOf(source, scope)).every(([name, value]) => header.context[name] === value);
  if (!sameContext || messageBytes(file, header) !== file.length) {
    const found = `${header.context['source']}/${header.context['scope']}, ${file.length} bytes`;
    throw failure('Integrity', `${place} is not the key file of ${source}/${scope}`, {
      place,
      expected: `${source}/${scope}`,
      found,
    });
  }
  try {
    const { plaintext } = await esdk.decrypt(rootKeyring(keys), file);
    return { namespace: kekNamespace(source), name: scope, key: plaintext };
  } catch (error) {
    const wrappedBy = header.wrappedBy.map((key) => `${key.namespace}/${key.name}`).join(', ');
    throw failure('Denied', `${place} cannot be opened with this root key`, {
      place,
      expected: `one of ${wrappedBy}`,
      found: `${ROOT_NAMESPACE}/${keys.root.id}`,
      hint: 'set keys.root to the key this vault was written with, or use the offline recovery key (docs/format.md)',
      cause: error,
    });
  }
}
