import { failure } from '../../workflows/model/failure.ts';

/** What the clear header of an AWS Encryption SDK message (version 2) says, before anything is decrypted. */
export interface MessageHeader {
  suite: number;
  context: Record<string, string>;
  /** Wrapped data keys: who wrapped them. */
  wrappedBy: { namespace: string; name: string }[];
  frameBytes: number;
  /** Length of header and header authentication. */
  headerBytes: number;
}

/** AES-256-GCM with HKDF-SHA-512 and key commitment, unsigned. */
export const SUITE = 0x0478;
const VERSION = 2;
const FRAMED = 2;
const MESSAGE_ID_BYTES = 32;
const COMMITMENT_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const FINAL_FRAME = 0xffffffff;
/** A raw-AES key provider appends tag length, IV length and IV to the name. */
const RAW_AES_SUFFIX_BYTES = 4 + 4 + IV_BYTES;

/** Reads the header. Integrity when the bytes are no such message. Format: AWS Encryption SDK developer guide, "message format reference". */
export function readHeader(bytes: Buffer, place: string): MessageHeader {
  try {
    return parse(bytes);
  } catch (error) {
    const found = error instanceof RangeError ? 'a cut header' : (error as Error).message;
    throw failure('Integrity', `${place} is not an encrypted message of lifeboat`, {
      place,
      expected: 'AWS Encryption SDK message version 2, suite 0478',
      found,
    });
  }
}

function parse(bytes: Buffer): MessageHeader {
  let at = 0;
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw new RangeError('end of bytes');
    at += length;
    return bytes.subarray(at - length, at);
  };
  const field = (): Buffer => take(take(2).readUInt16BE());
  const version = take(1).readUInt8();
  const suite = take(2).readUInt16BE();
  if (version !== VERSION || suite !== SUITE) throw new TypeError(`version ${version}, suite ${suite.toString(16)}`);
  take(MESSAGE_ID_BYTES);
  const context = readContext(field());
  const keys = Array.from({ length: take(2).readUInt16BE() }, () => ({
    provider: field(),
    info: field(),
    wrapped: field(),
  }));
  if (take(1).readUInt8() !== FRAMED) throw new TypeError('content that is not framed');
  const frameBytes = take(4).readUInt32BE();
  take(COMMITMENT_BYTES + TAG_BYTES);
  const wrappedBy = keys.map(({ provider, info }) => ({
    namespace: provider.toString(),
    name: keyName(provider.toString(), info),
  }));
  return { suite, context, wrappedBy, frameBytes, headerBytes: at };
}

function keyName(provider: string, info: Buffer): string {
  return (
    provider.startsWith('lifeboat-recovery') ? info : info.subarray(0, info.length - RAW_AES_SUFFIX_BYTES)
  ).toString();
}

function readContext(bytes: Buffer): Record<string, string> {
  const context: Record<string, string> = {};
  if (bytes.length === 0) return context;
  let at = 2;
  const field = (): string => {
    const length = bytes.readUInt16BE(at);
    at += 2 + length;
    return bytes.toString('utf8', at - length, at);
  };
  for (let left = bytes.readUInt16BE(0); left > 0; left--) {
    const name = field();
    context[name] = field();
  }
  return context;
}

/**
 * Where the message ends. The SDK stops after the final frame and ignores what follows, so whoever reads an object
 * compares this with the object's length: bytes appended by somebody are an attack or a broken store.
 */
export function messageBytes(bytes: Buffer, header: MessageHeader): number {
  for (let at = header.headerBytes; at + 4 <= bytes.length;) {
    if (bytes.readUInt32BE(at) !== FINAL_FRAME) {
      at += 4 + IV_BYTES + header.frameBytes + TAG_BYTES;
      continue;
    }
    const lengthAt = at + 4 + 4 + IV_BYTES;
    if (lengthAt + 4 > bytes.length) break;
    return lengthAt + 4 + bytes.readUInt32BE(lengthAt) + TAG_BYTES;
  }
  return -1;
}
