import { createPublicKey, randomBytes } from 'node:crypto';
import { failure } from '../../../workflows/model/failure.ts';
import { FORMAT } from '../codec/codec.ts';
import type { Kek } from '../codec/job.ts';
import type { KekId } from '../layout.ts';
import { kekName } from '../layout.ts';
import { readMessage } from '../message-read.ts';
import { writeMessage } from '../message-write.ts';
import type { KeyName, MessageHeader } from '../message.ts';
import { KEK_NAMESPACE, messageBytes, readHeader, RECOVERY_NAMESPACE, ROOT_NAMESPACE } from '../message.ts';
import type { KeyRing } from '../vault.ts';
import { aesWrapper, rsaWrapper } from '../wrapped-key.ts';
import type { Wrapper } from '../wrapped-key.ts';
import { publicId } from './fingerprint.ts';

const KEK_BYTES = 32;

/** What opens a key file: the root key, or the private half of the recovery key brought from where it is kept. */
export type Opener = Pick<KeyRing, 'root'> | { recoveryPrivatePem: string };

export interface KeyFilePlace extends KekId {
  source: string;
  /** Key in the store, for messages. */
  place: string;
}

/** A new key-encryption key as the content of its key file. */
export function createKeyFile(keys: KeyRing, at: KeyFilePlace): Buffer {
  return wrapKek(keys, at, randomBytes(KEK_BYTES));
}

/** The root wraps; the recovery key, of which only the public half is here, can open it too. */
export function wrapKek(keys: KeyRing, at: KeyFilePlace, key: Uint8Array): Buffer {
  const recovery =
    keys.recoveryPublic === undefined ? [] : [rsaWrapper(recoveryName(keys.recoveryPublic), keys.recoveryPublic)];
  return writeMessage(key, contextOf(at), [rootWrapper(keys.root), ...recovery]);
}

/**
 * Opens a key file. Integrity when it is another key's, cut, longer or changed; Denied when the opener is none of those it
 * was wrapped for.
 */
export function openKek(opener: Opener, at: KeyFilePlace, file: Buffer): Kek {
  const header = readHeader(file, at.place);
  checkClear(at, file, header);
  const own = openerName(opener);
  if (!header.wrappedBy.some((name) => sameName(name, own))) throw notForUs(at, header, own);
  const key = decrypt(opener, at, { file, header });
  if (key.length === KEK_BYTES) return { namespace: KEK_NAMESPACE, name: kekName(at), key };
  throw damaged(at, { expected: `a key of ${KEK_BYTES} bytes`, found: `${key.length} bytes` });
}

/** Who can open a key file wrapped with this ring. */
export function wrappers(keys: KeyRing): KeyName[] {
  const { recoveryPublic } = keys;
  const recovery = recoveryPublic === undefined ? [] : [recoveryName(recoveryPublic)];
  return [openerName(keys), ...recovery];
}

export function keyNameText({ namespace, name }: KeyName): string {
  return `${namespace}/${name}`;
}

export function sameName(a: KeyName, b: KeyName): boolean {
  return a.namespace === b.namespace && a.name === b.name;
}

/** What a key file has to name so that this opens it. */
export function openerName(opener: Opener): KeyName {
  return 'root' in opener
    ? { namespace: ROOT_NAMESPACE, name: opener.root.id }
    : recoveryName(opener.recoveryPrivatePem);
}

/** The same for the private and the public half. */
function recoveryName(pem: string): KeyName {
  return { namespace: RECOVERY_NAMESPACE, name: publicId(createPublicKey(pem)) };
}

function rootWrapper(root: KeyRing['root']): Wrapper {
  return aesWrapper({ namespace: ROOT_NAMESPACE, name: root.id, key: root.key });
}

function contextOf(at: KeyFilePlace): Record<string, string> {
  return { artefact: 'key', source: at.source, scope: at.scope, version: String(at.version), format: FORMAT };
}

function checkClear(at: KeyFilePlace, file: Buffer, header: MessageHeader): void {
  const wanted = contextOf(at);
  const names = new Set([...Object.keys(wanted), ...Object.keys(header.context)]);
  if ([...names].some((name) => wanted[name] !== header.context[name])) {
    const say = (context: Record<string, string>): string =>
      `${context['artefact']} ${context['scope']}/${context['version']} of ${context['source']}`;
    throw damaged(at, { expected: say(wanted), found: say(header.context) });
  }
  const end = messageBytes(file, header);
  if (end !== file.length) throw damaged(at, { expected: `${end} bytes`, found: `${file.length} bytes` });
}

function decrypt(opener: Opener, at: KeyFilePlace, { file, header }: { file: Buffer; header: MessageHeader }): Buffer {
  try {
    const key = 'root' in opener ? rootWrapper(opener.root) : rsaWrapper(openerName(opener), opener.recoveryPrivatePem);
    return readMessage(file, header, { context: contextOf(at), key });
  } catch {
    throw damaged(at, { expected: 'bytes that the key it names authenticates', found: 'bytes it does not' });
  }
}

function damaged(at: KeyFilePlace, { expected, found }: { expected: string; found: string }): Error {
  return failure('Integrity', `${at.place} is not the key file of ${kekName(at)}`, {
    place: at.place,
    expected,
    found,
    hint: 'put back the key file from another copy of this vault',
  });
}

function notForUs(at: KeyFilePlace, header: MessageHeader, own: KeyName): Error {
  return failure('Denied', `${at.place} cannot be opened with ${keyNameText(own)}`, {
    place: at.place,
    expected: `one of ${header.wrappedBy.map(keyNameText).join(', ')}`,
    found: keyNameText(own),
    hint: 'set keys.root to the key this vault was written with, or wrap it for this one: lifeboat keys rewrap --help',
  });
}
