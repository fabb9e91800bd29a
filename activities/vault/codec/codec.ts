import { createHash } from 'node:crypto';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { failure } from '../../../workflows/model/failure.ts';
import { release, SPARE_BYTES } from '../../io/memory.ts';
import { readMessage } from '../message-read.ts';
import { writeMessage } from '../message-write.ts';
import { messageBytes, readHeader } from '../message.ts';
import type { MessageHeader } from '../message.ts';
import { aesWrapper } from '../wrapped-key.ts';
import type { DecodeJob, EncodeJob, Encoded } from './job.ts';

/** Version of the format, as every encryption context carries it. */
export const FORMAT = '1';
/** No honest object comes near this; a bomb is refused before it fills memory. */
export const LONGEST_PLAINTEXT = 1 << 30;

/** Far above what Node takes out of memory that many buffers share: a chunk is alone in its own. */
const OUTPUT_CHUNK_BYTES = 256 * 1024;

/**
 * Up to this level speed is what is wanted: window and tables stay in the processor's cache, and matches are as long as a row's
 * repeated head. A sixth less time than the level's own, for some 1 % of size on text and less of it on pages.
 */
const FAST = {
  level: 3,
  params: {
    [constants.ZSTD_c_windowLog]: 19,
    [constants.ZSTD_c_hashLog]: 16,
    [constants.ZSTD_c_chainLog]: 15,
    [constants.ZSTD_c_minMatch]: 6,
  },
};

/** What zstd may make of so many bytes, at worst (zstd.h, ZSTD_COMPRESSBOUND), and a byte, so that one that is just filled brings no other. */
function roomFor(bytes: number): number {
  return bytes + (bytes >> 8) + (Math.max(0, (128 << 10) - bytes) >> 11) + 64;
}

/** Compresses, then encrypts: one zstd frame in one message. */
export function encode(job: EncodeJob): Encoded {
  const { bytes: plain, level } = job;
  const room = roomFor(plain.byteLength);
  const compressed = zstdCompressSync(plain, {
    chunkSize: room,
    pledgedSrcSize: plain.byteLength,
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      ...(level <= FAST.level ? FAST.params : {}),
    },
  });
  const bytes = writeMessage(compressed, job.context, [aesWrapper(job.kek)]);
  release(compressed, room);
  return { bytes, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** Checks length, hash, end and context of the message, decrypts, decompresses, checks the plaintext's length. */
export function decode(job: DecodeJob): Buffer {
  const stored = Buffer.from(job.bytes.buffer, job.bytes.byteOffset, job.bytes.byteLength);
  checkStored(job, stored);
  const header = readHeader(stored, job.place);
  const end = messageBytes(stored, header);
  if (end !== stored.length) {
    const expected = end < 0 ? 'a message with a final frame' : `a message of ${end} bytes`;
    throw wrong(job, 'length', { expected, found: `${stored.length} bytes` });
  }
  checkContext(job, header.context);
  const compressed = decrypt(job, stored, header);
  release(stored);
  const plaintext = decompress(job, compressed);
  release(new Uint8Array(compressed.buffer as ArrayBuffer));
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

function decrypt(job: DecodeJob, stored: Buffer, header: MessageHeader): Buffer {
  try {
    return readMessage(stored, header, { context: job.context, key: aesWrapper(job.kek) });
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
