import { generateKeyPair, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { failure } from '../../../workflows/model/failure.ts';
import { fileFailure } from '../../io/file-failure.ts';
import { publicPem, ROOT_BYTES } from './fingerprint.ts';

const RECOVERY_BITS = 4096;
const PRIVATE_MODE = 0o600;
const PUBLIC_MODE = 0o644;

/** Paths of the keys that `lifeboat init` makes. */
export interface NewKeys {
  root: string;
  signing: string;
  signingPublic: string;
  recoveryPublic: string;
  /** To be moved to a place that no worker can reach. */
  recoveryPrivate: string;
}

/** The names that every document uses for them. */
export function newKeysIn(folder: string): NewKeys {
  return {
    root: join(folder, 'root.key'),
    signing: join(folder, 'signing.key'),
    signingPublic: join(folder, 'signing.pub'),
    recoveryPublic: join(folder, 'recovery.pub'),
    recoveryPrivate: join(folder, 'recovery.key'),
  };
}

/** Makes new keys; an existing file is never overwritten (EEXIST becomes Precondition). */
export async function createKeys(paths: NewKeys): Promise<void> {
  const signing = await promisify(generateKeyPair)('ed25519');
  const recovery = await promisify(generateKeyPair)('rsa', { modulusLength: RECOVERY_BITS });
  await createFile(paths.root, `${randomBytes(ROOT_BYTES).toString('base64')}\n`, PRIVATE_MODE);
  await createFile(paths.signing, privatePem(signing.privateKey), PRIVATE_MODE);
  await createFile(paths.signingPublic, publicPem(signing.publicKey), PUBLIC_MODE);
  await createFile(paths.recoveryPublic, publicPem(recovery.publicKey), PUBLIC_MODE);
  await createFile(paths.recoveryPrivate, privatePem(recovery.privateKey), PRIVATE_MODE);
}

function privatePem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string;
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
