import { createPrivateKey, createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { open } from 'node:fs/promises';
import { failure, isFailure } from '../../../workflows/model/failure.ts';
import { translateFileError } from '../../io/file-failure.ts';
import type { KeyRing } from '../vault.ts';
import { fingerprint, publicId, publicPem, ROOT_BYTES } from './fingerprint.ts';

export { createKeys, newKeysIn } from './create.ts';
export type { NewKeys } from './create.ts';

export interface KeyFiles {
  root: string;
  recoveryPublic?: string;
  signing: string;
  /** More Ed25519 public keys whose manifests are accepted. */
  trusted: string[];
}

const LEAST_RSA_BITS = 3072;

/**
 * Loads and checks every key before anything is encrypted or signed. Failures name the file: NotFound, Denied (unreadable,
 * or a secret that others can read), ConfigInvalid (wrong type, wrong length, public half of another key).
 */
export async function loadKeyRing(files: KeyFiles): Promise<KeyRing> {
  const root = await loadRoot(files.root);
  const signing = await readSigning(files.signing);
  const own = createPublicKey(signing);
  await checkPublicHalf(files.signing, own);
  const trusted = await Promise.all(files.trusted.map((path) => readPublic(path, 'ed25519')));
  const recovery = files.recoveryPublic === undefined ? undefined : await readRecovery(files.recoveryPublic);
  return {
    root,
    signing: { id: publicId(own), privatePem: signing.export({ type: 'pkcs8', format: 'pem' }) as string },
    trusted: [own, ...trusted].map((key) => ({ id: publicId(key), publicPem: publicPem(key) })),
    ...(recovery ? { recoveryPublic: publicPem(recovery) } : {}),
  };
}

/** Public keys whose signatures count: by name of the file, each read and checked as those of `loadKeyRing`. */
export async function loadSigners(paths: readonly string[]): Promise<KeyRing['trusted']> {
  const keys = await Promise.all(paths.map((path) => readPublic(path, 'ed25519')));
  return keys.map((key) => ({ id: publicId(key), publicPem: publicPem(key) }));
}

/** Where the public half of a signing key lies. */
export function publicHalf(signingPath: string): string {
  return signingPath.replace(/(\.key)?$/, '.pub');
}

/** A root key, also one that is not of the configuration any more. */
export async function loadRoot(path: string): Promise<KeyRing['root']> {
  const key = await readSecretKey(path);
  return { id: fingerprint(key), key };
}

/** Private half of the recovery key, for the day the root key is lost. */
export async function loadRecoveryPrivate(path: string): Promise<string> {
  const key = await readPrivateKey(path);
  if (key.asymmetricKeyType !== 'rsa') throw badKey(path, 'an RSA private key in PEM', typeOf(key));
  return key.export({ type: 'pkcs8', format: 'pem' }) as string;
}

/** 32 random bytes in base64 that only their owner may read. */
export async function readSecretKey(path: string): Promise<Buffer> {
  const text = (await readSecret(path)).trim();
  const key = Buffer.from(text, 'base64');
  const expected = `${ROOT_BYTES} random bytes in base64`;
  if (key.toString('base64') !== text) throw badKey(path, expected, 'something else');
  if (key.length !== ROOT_BYTES) throw badKey(path, expected, `${key.length} bytes`);
  return key;
}

async function readSigning(path: string): Promise<KeyObject> {
  const key = await readPrivateKey(path);
  if (key.asymmetricKeyType === 'ed25519') return key;
  throw badKey(path, 'an Ed25519 private key in PEM', typeOf(key));
}

/** A public half that lies beside the signing key is what others will check signatures with: it must be its own. */
async function checkPublicHalf(signingPath: string, own: KeyObject): Promise<void> {
  const path = publicHalf(signingPath);
  try {
    const beside = await readPublic(path, 'ed25519');
    if (beside.equals(own)) return;
    throw badKey(path, `the public half of ${signingPath} (${publicId(own)})`, `another key (${publicId(beside)})`);
  } catch (error) {
    if (!isFailure(error, 'NotFound')) throw error;
  }
}

async function readRecovery(path: string): Promise<KeyObject> {
  const key = await readPublic(path, 'rsa');
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits >= LEAST_RSA_BITS) return key;
  throw badKey(path, `an RSA key of at least ${LEAST_RSA_BITS} bits`, `${bits} bits`);
}

async function readPublic(path: string, type: 'ed25519' | 'rsa'): Promise<KeyObject> {
  const pem = await readText(path);
  if (pem.includes('PRIVATE')) throw badKey(path, 'a public key', 'a private key: it belongs offline');
  const key = parseKey(path, () => createPublicKey(pem));
  if (key.asymmetricKeyType === type) return key;
  throw badKey(path, `a public key of type ${type} in PEM`, typeOf(key));
}

async function readPrivateKey(path: string): Promise<KeyObject> {
  const pem = await readSecret(path);
  return parseKey(path, () => createPrivateKey(pem));
}

function parseKey(path: string, parse: () => KeyObject): KeyObject {
  try {
    return parse();
  } catch {
    throw badKey(path, 'a key in PEM', 'something else');
  }
}

function readText(path: string): Promise<string> {
  return read(path, () => {});
}

function readSecret(path: string): Promise<string> {
  return read(path, (mode) => {
    if ((mode & 0o077) === 0) return;
    throw failure('Denied', `key file ${path} can be read by others`, {
      place: path,
      expected: 'mode 0600',
      found: `mode 0${mode.toString(8)}`,
      hint: `chmod 600 ${path}`,
    });
  });
}

/** Mode and content of the same file, even when the name is given to another one meanwhile. */
function read(path: string, checkMode: (mode: number) => void): Promise<string> {
  return translateFileError(path, async () => {
    const file = await open(path);
    try {
      checkMode((await file.stat()).mode & 0o777);
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  });
}

function typeOf(key: KeyObject): string {
  return `a key of type ${key.asymmetricKeyType}`;
}

function badKey(path: string, expected: string, found: string): Error {
  return failure('ConfigInvalid', `key file ${path} is not usable`, {
    place: path,
    expected,
    found,
    hint: 'restore the right key file; lifeboat init makes new ones for a new vault only',
  });
}
