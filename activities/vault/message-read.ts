import { createDecipheriv, timingSafeEqual } from 'node:crypto';
import { CIPHER, frameContext, HEADER_IV, IV_BYTES, messageKeys, TAG_BYTES } from './message-keys.ts';
import { contextBytes, FINAL_FRAME, keyNameOf } from './message.ts';
import type { MessageHeader, WrappedKey } from './message.ts';
import type { Wrapper } from './wrapped-key.ts';

/** Root, recovery, and one to spare while keys rotate. */
const MOST_WRAPPED_KEYS = 3;

/**
 * What a message holds, when all of it is as it was written: the context is this one and no other, the key opens it, the header
 * commits to that key, every frame stands where it belongs, and nothing follows the final one. Throws an Error that says what is
 * wrong; until the last frame was good, nobody gets a byte.
 */
export function readMessage(
  bytes: Buffer,
  header: MessageHeader,
  at: { context: Record<string, string>; key: Wrapper },
): Buffer {
  // The context in its one form: what a reader would pass over (order, a name twice) is no part of a message of ours.
  const clear = contextBytes(at.context);
  if (!header.contextBytes.equals(clear)) throw new TypeError('another context');
  const { messageId } = header;
  const { commitment, key } = messageKeys(unwrap(header, at.key, clear), messageId);
  if (!timingSafeEqual(commitment, header.commitment)) throw new TypeError('a header that commits to another key');
  checkHead(bytes, header, key);
  return readFrames(bytes, header, key);
}

function unwrap({ wrapped }: MessageHeader, key: Wrapper, clear: Buffer): Buffer {
  if (wrapped.length > MOST_WRAPPED_KEYS) throw new TypeError(`${wrapped.length} wrapped keys`);
  const isNamed = (each: WrappedKey): boolean => {
    const { namespace, name } = keyNameOf(each);
    return namespace === key.namespace && name === key.name;
  };
  let failed: unknown = new TypeError('no key of this name');
  for (const each of wrapped.filter(isNamed)) {
    try {
      return key.unwrap(each, clear);
    } catch (error) {
      failed = error;
    }
  }
  throw failed as Error;
}

/** All bytes up to the tag are authenticated by it. */
function checkHead(bytes: Buffer, { headerBytes, tag }: MessageHeader, key: Buffer): void {
  const cipher = createDecipheriv(CIPHER, key, HEADER_IV, { authTagLength: TAG_BYTES });
  cipher.setAAD(bytes.subarray(0, headerBytes - TAG_BYTES)).setAuthTag(tag);
  cipher.final();
}

interface Frame {
  sequence: number;
  isFinal: boolean;
  iv: Buffer;
  content: Buffer;
  tag: Buffer;
  end: number;
}

function readFrames(message: Buffer, { messageId, frameBytes, headerBytes }: MessageHeader, key: Buffer): Buffer {
  // A message is longer than what it holds. Alone in its memory: it moves between threads.
  const plain = Buffer.allocUnsafeSlow(message.length - headerBytes);
  let used = 0;
  for (let at = headerBytes, sequence = 1; ; sequence++) {
    const frame = frameAt(message, at, frameBytes);
    if (frame.sequence !== sequence) throw new TypeError(`frame ${frame.sequence} in the place of ${sequence}`);
    const { isFinal, content } = frame;
    const cipher = createDecipheriv(CIPHER, key, frame.iv, { authTagLength: TAG_BYTES });
    cipher.setAAD(frameContext(messageId, { sequence, bytes: content.length, isFinal })).setAuthTag(frame.tag);
    used += cipher.update(content).copy(plain, used);
    cipher.final();
    at = frame.end;
    if (!isFinal) continue;
    if (at !== message.length) throw new TypeError(`${message.length - at} bytes behind the final frame`);
    return plain.subarray(0, used);
  }
}

function frameAt(message: Buffer, start: number, frameBytes: number): Frame {
  let at = start;
  const take = (length: number): Buffer => {
    if (at + length > message.length) throw new RangeError(`a message cut at ${message.length} bytes`);
    at += length;
    return message.subarray(at - length, at);
  };
  const first = take(4).readUInt32BE();
  const isFinal = first === FINAL_FRAME;
  const sequence = isFinal ? take(4).readUInt32BE() : first;
  const iv = take(IV_BYTES);
  const length = isFinal ? take(4).readUInt32BE() : frameBytes;
  if (length > frameBytes) throw new RangeError(`a frame of ${length} bytes`);
  return { sequence, isFinal, iv, content: take(length), tag: take(TAG_BYTES), end: at };
}
