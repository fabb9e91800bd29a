import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { DataConverter, Payload, PayloadCodec } from '@temporalio/common';
import proto from '@temporalio/proto';
import { failure } from '../../workflows/model/failure.ts';
import { fingerprint } from '../vault/keys/fingerprint.ts';
import { readSecretKey } from '../vault/keys/files.ts';
import type { Config } from './config.ts';

const ENCODING = 'binary/encrypted';
const KEY_ID = 'encryption-key-id';
const CIPHER = 'aes-256-gcm';
const IV_BYTES = 12;
const TAG_BYTES = 16;
const { Payload: PayloadMessage } = proto.temporal.api.common.v1;

/**
 * What Temporal stores of our runs, encrypted when the configuration names a key (temporal.encryptionKey); undefined
 * when it names none. Every client and worker of a namespace needs the same key. Search attributes and the messages of
 * failures stay readable. Failures as `loadKeys`.
 */
export async function payloadConverter(config: Pick<Config, 'temporal'>): Promise<DataConverter | undefined> {
  const { encryptionKeyFile: file } = config.temporal;
  return file === undefined ? undefined : { payloadCodecs: [payloadCodec(await readSecretKey(file), file)] };
}

/**
 * AES-256-GCM over the whole payload: 12 bytes of IV, the ciphertext, 16 bytes of tag. Encoding and key id stand where
 * the encryption samples of the Temporal SDKs have them, so that their codec servers read it. What was written before
 * there was a key stays readable.
 */
export function payloadCodec(key: Buffer, place: string): PayloadCodec {
  const id = fingerprint(key);
  return {
    encode: (payloads) => Promise.resolve(payloads.map((payload) => encrypted(payload, key, id))),
    decode: async (payloads) =>
      payloads.map((payload) =>
        text(payload, 'encoding') === ENCODING ? decrypted(payload, { key, id, place }) : payload,
      ),
  };
}

function encrypted(payload: Payload, key: Buffer, id: string): Payload {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv(CIPHER, key, iv);
  const sealed = [iv, cipher.update(PayloadMessage.encode(payload).finish()), cipher.final(), cipher.getAuthTag()];
  return { metadata: { encoding: Buffer.from(ENCODING), [KEY_ID]: Buffer.from(id) }, data: Buffer.concat(sealed) };
}

function decrypted(payload: Payload, use: { key: Buffer; id: string; place: string }): Payload {
  const named = text(payload, KEY_ID);
  if (named !== use.id) {
    throw failure('Denied', `a payload in Temporal was encrypted with another key`, {
      place: use.place,
      expected: `key ${use.id}`,
      found: `key ${named || 'without a name'}`,
      hint: 'give every client and worker of the namespace the same temporal.encryptionKey',
    });
  }
  const bytes = Buffer.from(payload.data ?? []);
  try {
    const cipher = createDecipheriv(CIPHER, use.key, bytes.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
    cipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    const plain = Buffer.concat([cipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES)), cipher.final()]);
    return PayloadMessage.decode(plain) as Payload;
  } catch (error) {
    throw failure('Integrity', 'a payload in Temporal is not what was written', {
      place: use.place,
      found: `${bytes.length} bytes that do not decrypt`,
      hint: 'look at the run in the Temporal UI; start it again',
      cause: error,
    });
  }
}

function text(payload: Payload, name: string): string {
  return Buffer.from(payload.metadata?.[name] ?? []).toString();
}
