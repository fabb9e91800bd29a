import { failure } from '../../workflows/model/failure.ts';

/** What the clear header of an AWS Encryption SDK message (version 2) says, before anything is decrypted. */
export interface MessageHeader {
  context: Record<string, string>;
  /** The same as it stands there. */
  contextBytes: Buffer;
  messageId: Buffer;
  /** Wrapped data keys: who wrapped them. */
  wrappedBy: KeyName[];
  wrapped: WrappedKey[];
  frameBytes: number;
  commitment: Buffer;
  tag: Buffer;
  /** Length of header and header authentication. */
  headerBytes: number;
}

export interface KeyName {
  namespace: string;
  name: string;
}

/** The data key as one key wrapped it; `info` is that key's name, and what else its kind of wrapping needs. */
export interface WrappedKey {
  namespace: string;
  info: Buffer;
  wrapped: Buffer;
}

/** Names of keys: "key provider id" of the message format. */
export const ROOT_NAMESPACE = 'lifeboat-root';
export const RECOVERY_NAMESPACE = 'lifeboat-recovery';
export const KEK_NAMESPACE = 'lifeboat-kek';

/** AES-256-GCM with HKDF-SHA-512 and key commitment, unsigned. */
export const SUITE = 0x0478;
export const VERSION = 2;
export const FRAMED = 2;
export const MESSAGE_ID_BYTES = 32;
const COMMITMENT_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
export const FINAL_FRAME = 0xffffffff;
/** A raw-AES key provider appends tag length, IV length and IV to the name. */
const RAW_AES_SUFFIX_BYTES = 4 + 4 + IV_BYTES;

/**
 * Reads the header; nothing in it is authentic until the message was decrypted. Integrity when the bytes are no such
 * message. Format: AWS Encryption SDK developer guide, "message format reference".
 */
export function readHeader(bytes: Buffer, place: string): MessageHeader {
  try {
    return parse(new Cursor(bytes));
  } catch (error) {
    throw failure('Integrity', `${place} is not an encrypted message of lifeboat`, {
      place,
      expected: 'AWS Encryption SDK message version 2, suite 0478',
      found: (error as Error).message,
    });
  }
}

/** Takes fields off the front of a buffer. */
class Cursor {
  readonly #bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  take(length: number): Buffer {
    if (this.at + length > this.#bytes.length) throw new RangeError(`a header cut at ${this.#bytes.length} bytes`);
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }

  /** Bytes behind a length of two bytes. */
  field(): Buffer {
    return this.take(this.take(2).readUInt16BE());
  }
}

function parse(cursor: Cursor): MessageHeader {
  const version = cursor.take(1).readUInt8();
  const suite = cursor.take(2).readUInt16BE();
  if (version !== VERSION || suite !== SUITE) {
    throw new TypeError(`version ${version}, suite ${suite.toString(16).padStart(4, '0')}`);
  }
  const messageId = cursor.take(MESSAGE_ID_BYTES);
  const contextBytes = cursor.field();
  const wrapped = Array.from({ length: cursor.take(2).readUInt16BE() }, () => ({
    namespace: cursor.field().toString(),
    info: cursor.field(),
    wrapped: cursor.field(),
  }));
  if (cursor.take(1).readUInt8() !== FRAMED) throw new TypeError('content that is not framed');
  const frameBytes = cursor.take(4).readUInt32BE();
  const [commitment, tag] = [cursor.take(COMMITMENT_BYTES), cursor.take(TAG_BYTES)];
  const context = readContext(contextBytes);
  const wrappedBy = wrapped.map(keyNameOf);
  return { context, contextBytes, messageId, wrappedBy, wrapped, frameBytes, commitment, tag, headerBytes: cursor.at };
}

/** Who wrapped a data key. */
export function keyNameOf({ namespace, info }: WrappedKey): KeyName {
  const name = namespace === RECOVERY_NAMESPACE ? info : info.subarray(0, -RAW_AES_SUFFIX_BYTES);
  return { namespace, name: name.toString() };
}

function readContext(bytes: Buffer): Record<string, string> {
  if (bytes.length === 0) return {};
  const cursor = new Cursor(bytes);
  const pairs = Array.from({ length: cursor.take(2).readUInt16BE() }, () => [
    cursor.field().toString(),
    cursor.field().toString(),
  ]);
  return Object.fromEntries(pairs) as Record<string, string>;
}

/** A context in the one form that it has in a message: sorted by name, without a length in front. */
export function contextBytes(context: Record<string, string>): Buffer {
  const pairs = Object.entries(context).map((pair) => pair.map((text) => Buffer.from(text)) as [Buffer, Buffer]);
  const short = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
  const fields = pairs
    .toSorted(([a], [b]) => a.compare(b))
    .flatMap(([name, value]) => [short(name.length), name, short(value.length), value]);
  return Buffer.concat([short(pairs.length), ...fields]);
}

/**
 * Where the message ends, or -1 when it is cut. The SDK stops after the final frame and ignores what follows, so whoever
 * reads an object compares this with the object's length: bytes appended by somebody are an attack or a broken store.
 */
export function messageBytes(bytes: Buffer, header: MessageHeader): number {
  for (let at = header.headerBytes; at + 4 <= bytes.length;) {
    if (bytes.readUInt32BE(at) !== FINAL_FRAME) {
      at += 4 + IV_BYTES + header.frameBytes + TAG_BYTES;
      continue;
    }
    const lengthAt = at + 4 + 4 + IV_BYTES;
    if (lengthAt + 4 > bytes.length) return -1;
    const end = lengthAt + 4 + bytes.readUInt32BE(lengthAt) + TAG_BYTES;
    return end > bytes.length ? -1 : end;
  }
  return -1;
}

/** Whether the bytes reach the end of a message; false for what is none. */
export function isWholeMessage(bytes: Buffer): boolean {
  try {
    return messageBytes(bytes, parse(new Cursor(bytes))) !== -1;
  } catch {
    return false;
  }
}
