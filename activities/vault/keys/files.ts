import { createHash, createPrivateKey, createPublicKey, generateKeyPair, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { failure } from '../../../workflows/model/failure.ts';
import { fileFailure } from '../../io/file-failure.ts';
import type { KeyRing } from '../vault.ts';

export interface KeyFiles {
  root: string;
  recoveryPublic?: string;
  signing: string;
  /** More Ed25519 public keys whose manifests are accepted. */
  trusted: string[];
}

const ROOT_BYTES = 32;
const RECOVERY_BITS = 4096;
const PRIVATE_MODE = 0o600;

/** Loads and checks every key. ConfigInvalid or Denied with the file as place, before anything is encrypted or signed. */
export async function loadKeyRing(files: KeyFiles): Promise<KeyRing> {
  const root = await readRoot(files.root);
  const signing = await readSigning(files.signing);
  const trusted = await Promise.all(files.trusted.map((path) => readPublic(path, 'ed25519')));
  const own = createPublicKey(signing);
  const recovery = files.recoveryPublic === undefined ? undefined : await readPublic(files.recoveryPublic, 'rsa');
  return {
    root: { id: fingerprint(root), key: root },
    signing: { id: publicId(own), privatePem: signing.export({ type: 'pkcs8', format: 'pem' }) as string },
    trusted: [own, ...trusted].map((key) => ({ id: publicId(key), publicPem: publicPem(key) })),
    ...(recovery ? { recoveryPublic: publicPem(recovery) } : {}),
  };
}

export function fingerprint(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}

export function publicId(key: KeyObject): string {
  return fingerprint(key.export({ type: 'spki', format: 'der' }));
}

function publicPem(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'pem' }) as string;
}

async function readRoot(path: string): Promise<Buffer> {
  const text = (await readPrivate(path)).trim();
  const key = Buffer.from(text, 'base64');
  if (key.length === ROOT_BYTES && key.toString('base64') === text) return key;
  throw badKey(path, `${ROOT_BYTES} random bytes in base64`, `${key.length} bytes`);
}

async function readSigning(path: string): Promise<KeyObject> {
  const pem = await readPrivate(path);
  const key = parseKey(path, () => createPrivateKey(pem));
  if (key.asymmetricKeyType === 'ed25519') return key;
  throw badKey(path, 'an Ed25519 private key in PEM', `a key of type ${key.asymmetricKeyType}`);
}

async function readPublic(path: string, type: 'ed25519' | 'rsa'): Promise<KeyObject> {
  const pem = await readText(path);
  if (pem.includes('PRIVATE')) throw badKey(path, 'a public key', 'a private key: it belongs offline');
  const key = parseKey(path, () => createPublicKey(pem));
  if (key.asymmetricKeyType === type) return key;
  throw badKey(path, `a public key of type ${type} in PEM`, `a key of type ${key.asymmetricKeyType}`);
}

function parseKey(path: string, parse: () => KeyObject): KeyObject {
  try {
    return parse();
  } catch {
    throw badKey(path, 'a key in PEM', 'something else');
  }
}

async function readPrivate(path: string): Promise<string> {
  const text = await readText(path);
  const mode = (await stat(path)).mode & 0o777;
  if ((mode & 0o077) === 0) return text;
  throw failure('Denied', `key file ${path} can be read by others`, {
    place: path,
    expected: 'mode 0600',
    found: `mode 0${mode.toString(8)}`,
    hint: `chmod 600 ${path}`,
  });
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw fileFailure(path, error);
  }
}

function badKey(path: string, expected: string, found: string): Error {
  return failure('ConfigInvalid', `key file ${path} is not usable`, {
    place: path,
    expected,
    found,
    hint: 'restore the right key file; lifeboat init makes new ones for a new vault only',
  });
}

/** Paths of the keys that `lifeboat init` makes. */
export interface NewKeys {
  root: string;
  signing: string;
  signingPublic: string;
  recoveryPublic: string;
  recoveryPrivate: string;
}

/** Makes new keys; an existing file is never overwritten (EEXIST becomes Precondition). */
export async function createKeys(paths: NewKeys): Promise<void> {
  const signing = await promisify(generateKeyPair)('ed25519');
  const recovery = await promisify(generateKeyPair)('rsa', { modulusLength: RECOVERY_BITS });
  const secret = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }) as string;
  await createFile(paths.root, `${randomBytes(ROOT_BYTES).toString('base64')}\n`, PRIVATE_MODE);
  await createFile(paths.signing, secret(signing.privateKey), PRIVATE_MODE);
  await createFile(paths.signingPublic, publicPem(signing.publicKey), 0o644);
  await createFile(paths.recoveryPublic, publicPem(recovery.publicKey), 0o644);
  await createFile(paths.recoveryPrivate, secret(recovery.privateKey), PRIVATE_MODE);
}

async function createFile(path: string, content: string, mode: number): Promise<void> {
  try {
    await writeFile(path, content, { flag: 'wx', mode });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw fileFailure(path, error);
    throw failure('Precondition', `key file ${path} exists`, {
      place: path,
      expected: 'no file',
      found: 'a file',
      hint: 'keep it: whoever loses a root key loses the backups made with it',
    });
  }
}
