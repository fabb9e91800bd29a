import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { finished } from 'node:stream/promises';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { buildDecrypt } from '@aws-crypto/decrypt-node';
import { buildEncrypt } from '@aws-crypto/encrypt-node';
import { AlgorithmSuiteIdentifier, CommitmentPolicy } from '@aws-crypto/material-management-node';
import { RawAesKeyringNode, RawAesWrappingSuiteIdentifier } from '@aws-crypto/raw-aes-keyring-node';
import { failure } from '../../../workflows/model/failure.ts';
import { release } from '../../io/memory.ts';
import { messageBytes, readHeader } from '../message.ts';
import type { DecodeJob, EncodeJob, Encoded, Kek } from './job.ts';

/** Version of the format, as every encryption context carries it. */
export const FORMAT = '1';
/** Frames of the message: 64 KiB decrypts fastest in this SDK. */
const FRAME_BYTES = 64 * 1024;
/** Root, recovery, and one to spare while keys rotate. */
const MOST_WRAPPED_KEYS = 3;
/** No honest object comes near this; a bomb is refused before it fills memory. */
export const LONGEST_PLAINTEXT = 1 << 30;

const CLIENT = {
  commitmentPolicy: CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
  maxEncryptedDataKeys: MOST_WRAPPED_KEYS,
};

/** The SDK's packages one by one: all of them at once bring two more cloud clients into every thread. */
export const esdk = { ...buildEncrypt(CLIENT), ...buildDecrypt(CLIENT) };

export function aesKeyring(kek: Kek): RawAesKeyringNode {
  return new RawAesKeyringNode({
    keyNamespace: kek.namespace,
    keyName: kek.name,
    // The SDK wants key material in an array of its own, not in a shared pool.
    unencryptedMasterKey: Uint8Array.from(kek.key),
    wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  });
}

export const MESSAGE_OPTIONS = {
  suiteId: AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY,
  frameLength: FRAME_BYTES,
} as const;

/** Far above what Node takes out of memory that many buffers share: a chunk is alone in its own. */
const OUTPUT_CHUNK_BYTES = 256 * 1024;
/** Memory behind decoded bytes that holds nothing. */
export const SPARE_BYTES = 1;

/**
 * Passes bytes through one of the SDK's streams, a frame at a time: handing it everything at once makes its decryption
 * quadratic. Whatever went to `take` counts only when this resolves: the stream ended clean.
 */
async function through(stream: Duplex, bytes: Buffer, take: (chunk: Buffer) => void): Promise<void> {
  stream.on('data', take);
  const ended = finished(stream);
  for (let at = 0; at < bytes.length && !stream.destroyed; at += FRAME_BYTES) {
    if (!stream.write(bytes.subarray(at, at + FRAME_BYTES))) await Promise.race([once(stream, 'drain'), ended]);
  }
  stream.end();
  await ended;
}

/** Up to this level speed is what is wanted, and the window stays in the processor's cache: a quarter less time, some 1 % of size. */
const FAST = { level: 3, windowLog: 19 };

/** Compresses, then encrypts: one zstd frame in one message. */
export async function encode(job: EncodeJob): Promise<Encoded> {
  const { bytes: plain, level } = job;
  const compressed = zstdCompressSync(plain, {
    chunkSize: OUTPUT_CHUNK_BYTES,
    pledgedSrcSize: plain.byteLength,
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      ...(level <= FAST.level ? { [constants.ZSTD_c_windowLog]: FAST.windowLog } : {}),
    },
  });
  const cipher = esdk.encryptStream(aesKeyring(job.kek), { ...MESSAGE_OPTIONS, encryptionContext: job.context });
  const chunks: Buffer[] = [];
  await through(cipher, compressed, (chunk) => chunks.push(chunk));
  const bytes = Buffer.concat(chunks);
  release(compressed, OUTPUT_CHUNK_BYTES);
  return { bytes, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** Checks length, hash, end and context of the message, decrypts, decompresses, checks the plaintext's length. */
export async function decode(job: DecodeJob): Promise<Buffer> {
  const stored = Buffer.from(job.bytes.buffer, job.bytes.byteOffset, job.bytes.byteLength);
  checkStored(job, stored);
  const header = readHeader(stored, job.place);
  const end = messageBytes(stored, header);
  if (end !== stored.length) {
    const expected = end < 0 ? 'a message with a final frame' : `a message of ${end} bytes`;
    throw wrong(job, 'length', { expected, found: `${stored.length} bytes` });
  }
  checkContext(job, header.context);
  const compressed = await decrypt(job, stored);
  release(stored);
  const plaintext = decompress(job, compressed);
  release(new Uint8Array(compressed.buffer));
  if (job.plainBytes !== undefined && plaintext.length !== job.plainBytes) {
    throw wrong(job, 'plaintext', { expected: `${job.plainBytes} bytes`, found: `${plaintext.length} bytes` });
  }
  return plaintext;
}

function checkStored(job: DecodeJob, stored: Buffer): void {
  if (!job.expected) return;
  const { bytes, sha256 } = job.expected;
  if (stored.length !== bytes) {
    throw wrong(job, 'length', { expected: `${bytes} bytes`, found: `${stored.length} bytes` });
  }
  const found = createHash('sha256').update(stored).digest('hex');
  if (found !== sha256) throw wrong(job, 'SHA-256', { expected: sha256, found });
}

function checkContext(job: DecodeJob, found: Record<string, string>): void {
  if (Number(found['format']) > Number(FORMAT)) {
    throw failure('Unsupported', `${job.place} was written by a newer lifeboat`, {
      place: job.place,
      expected: `format ${FORMAT}`,
      found: `format ${found['format']}`,
      hint: 'install the newest lifeboat on this host',
    });
  }
  const say = (context: Record<string, string>): string =>
    JSON.stringify(Object.fromEntries(Object.entries(context).sort()));
  if (say(found) === say(job.context)) return;
  throw wrong(job, 'encryption context', { expected: say(job.context), found: say(found) });
}

async function decrypt(job: DecodeJob, stored: Buffer): Promise<Buffer<ArrayBuffer>> {
  try {
    // A message is longer than what it holds: one buffer, and no pieces that wait for being joined.
    const whole = Buffer.allocUnsafeSlow(stored.length);
    let used = 0;
    await through(esdk.decryptUnsignedMessageStream(aesKeyring(job.kek)), stored, (chunk) => {
      used += chunk.copy(whole, used);
    });
    return whole.subarray(0, used);
  } catch {
    const expected = `bytes that key ${job.kek.namespace}/${job.kek.name} authenticates`;
    throw wrong(job, 'ciphertext', { expected, found: 'bytes it does not' });
  }
}

function decompress(job: DecodeJob, compressed: Buffer): Buffer {
  const longest = Math.max(job.plainBytes ?? LONGEST_PLAINTEXT, 1);
  try {
    // Output grows chunk by chunk, and a chunk that is just filled brings another: with the length known there is one.
    const chunkSize = Math.max((job.plainBytes ?? OUTPUT_CHUNK_BYTES) + SPARE_BYTES, 64);
    return zstdDecompressSync(compressed, { maxOutputLength: longest, chunkSize });
  } catch (error) {
    const expected = `one zstd frame of at most ${longest} bytes`;
    throw wrong(job, 'compression', { expected, found: (error as Error).message });
  }
}

function wrong(job: DecodeJob, what: string, { expected, found }: { expected: string; found: string }): Error {
  return failure('Integrity', `${job.place}: ${what} is not what was stored`, {
    place: job.place,
    expected,
    found,
    hint: 'this copy is damaged or was changed; use another copy, and verify the rest with lifeboat verify',
  });
}
