import { createCipheriv, randomBytes } from 'node:crypto';
import { CIPHER, frameContext, HEADER_IV, IV_BYTES, messageKeys, TAG_BYTES } from './message-keys.ts';
import { contextBytes, FINAL_FRAME, FRAMED, MESSAGE_ID_BYTES, SUITE, VERSION } from './message.ts';
import { DATA_KEY_BYTES } from './wrapped-key.ts';
import type { Wrapper } from './wrapped-key.ts';

/** Frames: docs/format.md names their length. */
export const FRAME_BYTES = 64 * 1024;

/** The bytes as one message that each of `wrappers` opens, and that says what it is: AWS Encryption SDK, version 2, suite 0478. */
export function writeMessage(plain: Uint8Array, context: Record<string, string>, wrappers: Wrapper[]): Buffer {
  const messageId = randomBytes(MESSAGE_ID_BYTES);
  const dataKey = randomBytes(DATA_KEY_BYTES);
  const { commitment, key } = messageKeys(dataKey, messageId);
  const clear = contextBytes(context);
  const wrapped = wrappers.map((wrapper) => wrapper.wrap(dataKey, clear));
  const head = Buffer.concat([
    Buffer.from([VERSION]),
    short(SUITE),
    messageId,
    field(clear),
    short(wrapped.length),
    ...wrapped.flatMap((each) => [field(Buffer.from(each.namespace)), field(each.info), field(each.wrapped)]),
    Buffer.from([FRAMED]),
    long(FRAME_BYTES),
    commitment,
  ]);
  const tag = createCipheriv(CIPHER, key, HEADER_IV, { authTagLength: TAG_BYTES }).setAAD(head);
  tag.final();
  return writeFrames(plain, { head: Buffer.concat([head, tag.getAuthTag()]), messageId, key });
}

interface Framing {
  head: Buffer;
  messageId: Buffer;
  key: Buffer;
}

function writeFrames(plain: Uint8Array, { head, messageId, key }: Framing): Buffer {
  const frames = Math.max(1, Math.ceil(plain.length / FRAME_BYTES));
  const clearBytes = frames * (4 + IV_BYTES + TAG_BYTES) + 4 + 4;
  // Alone in its memory: it moves between threads.
  const message = Buffer.allocUnsafeSlow(head.length + clearBytes + plain.length);
  let at = head.copy(message);
  for (let sequence = 1; sequence <= frames; sequence++) {
    const isFinal = sequence === frames;
    const bytes = plain.subarray((sequence - 1) * FRAME_BYTES, sequence * FRAME_BYTES);
    const iv = Buffer.alloc(IV_BYTES);
    iv.writeUInt32BE(sequence, IV_BYTES - 4);
    if (isFinal) at = message.writeUInt32BE(FINAL_FRAME, at);
    at = message.writeUInt32BE(sequence, at);
    at += iv.copy(message, at);
    if (isFinal) at = message.writeUInt32BE(bytes.length, at);
    const cipher = createCipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES });
    cipher.setAAD(frameContext(messageId, { sequence, bytes: bytes.length, isFinal }));
    at += cipher.update(bytes).copy(message, at);
    cipher.final();
    at += cipher.getAuthTag().copy(message, at);
  }
  return message;
}

function short(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

function long(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function field(bytes: Buffer): Buffer {
  return Buffer.concat([short(bytes.length), bytes]);
}
