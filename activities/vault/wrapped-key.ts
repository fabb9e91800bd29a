import {
  constants,
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import type { Kek } from './codec/job.ts';
import type { KeyName, WrappedKey } from './message.ts';

/** What wraps the data key of a message, or opens it again: docs/format.md "Wrapped data keys". */
export interface Wrapper extends KeyName {
  /** `contextBytes` is the context as the header has it, without the length in front. */
  wrap(dataKey: Buffer, contextBytes: Buffer): WrappedKey;
  /** Throws when it was wrapped by another key, for another context, or changed. */
  unwrap(wrapped: WrappedKey, contextBytes: Buffer): Buffer;
}

export const DATA_KEY_BYTES = 32;
const CIPHER = 'aes-256-gcm';
const TAG_BYTES = 16;
const IV_BYTES = 12;
/** Bits of the tag, bytes of the IV: each behind the name, four bytes long. */
const RAW_AES_SIZES = Buffer.from([0, 0, 0, TAG_BYTES * 8, 0, 0, 0, IV_BYTES]);

/** Raw AES key provider of the message format. */
export function aesWrapper({ namespace, name, key }: Kek): Wrapper {
  const prefix = Buffer.concat([Buffer.from(name), RAW_AES_SIZES]);
  return {
    ...{ namespace, name },
    wrap: (dataKey, contextBytes) => {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES }).setAAD(contextBytes);
      const wrapped = Buffer.concat([cipher.update(dataKey), cipher.final(), cipher.getAuthTag()]);
      return { namespace, info: Buffer.concat([prefix, iv]), wrapped };
    },
    unwrap: ({ info, wrapped }, contextBytes) => {
      const isOurs = info.length === prefix.length + IV_BYTES && info.subarray(0, prefix.length).equals(prefix);
      if (!isOurs || wrapped.length !== DATA_KEY_BYTES + TAG_BYTES) throw new TypeError('a key of another form');
      const iv = info.subarray(prefix.length);
      const cipher = createDecipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES }).setAAD(contextBytes);
      cipher.setAuthTag(wrapped.subarray(DATA_KEY_BYTES));
      return Buffer.concat([cipher.update(wrapped.subarray(0, DATA_KEY_BYTES)), cipher.final()]);
    },
  };
}

const OAEP = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' } as const;

/** Raw RSA key provider; the context is no part of what it wraps. The public half wraps, the private one opens. */
export function rsaWrapper({ namespace, name }: KeyName, pem: string): Wrapper {
  return {
    ...{ namespace, name },
    wrap: (dataKey) => {
      const wrapped = publicEncrypt({ key: createPublicKey(pem), ...OAEP }, dataKey);
      return { namespace, info: Buffer.from(name), wrapped };
    },
    unwrap: ({ wrapped }) => {
      const key = privateDecrypt({ key: createPrivateKey(pem), ...OAEP }, wrapped);
      if (key.length !== DATA_KEY_BYTES) throw new TypeError(`a data key of ${key.length} bytes`);
      return key;
    },
  };
}
