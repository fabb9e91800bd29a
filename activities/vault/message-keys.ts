import { hkdfSync } from 'node:crypto';
import { SUITE } from './message.ts';

export const CIPHER = 'aes-256-gcm';
export const IV_BYTES = 12;
export const TAG_BYTES = 16;
export const COMMITMENT_BYTES = 32;
const KEY_BYTES = 32;
/** Of the header: frames have their sequence number. */
export const HEADER_IV = Buffer.alloc(IV_BYTES);

const COMMIT_INFO = Buffer.from('COMMITKEY');
const DERIVE_INFO = Buffer.concat([Buffer.from([SUITE >> 8, SUITE & 0xff]), Buffer.from('DERIVEKEY')]);

/** What the header commits to, and the key of header and frames: docs/format.md "Message". */
export function messageKeys(dataKey: Buffer, messageId: Buffer): { commitment: Buffer; key: Buffer } {
  const derive = (info: Buffer, bytes: number): Buffer =>
    Buffer.from(hkdfSync('sha512', dataKey, messageId, info, bytes));
  return { commitment: derive(COMMIT_INFO, COMMITMENT_BYTES), key: derive(DERIVE_INFO, KEY_BYTES) };
}

const FRAME = Buffer.from('AWSKMSEncryptionClient Frame');
const FINAL = Buffer.from('AWSKMSEncryptionClient Final Frame');

/** Associated data of a frame: it can stand nowhere else, in no other length and in no other message. */
export function frameContext(
  messageId: Buffer,
  { sequence, bytes, isFinal }: { sequence: number; bytes: number; isFinal: boolean },
): Buffer {
  const numbers = Buffer.alloc(12);
  numbers.writeUInt32BE(sequence, 0);
  numbers.writeBigUInt64BE(BigInt(bytes), 4);
  return Buffer.concat([messageId, isFinal ? FINAL : FRAME, numbers]);
}
