import { createHmac, timingSafeEqual } from 'node:crypto';
import type { ReadMessage } from './message.ts';
import { CLASS, encodeRecord, TYPE } from './message.ts';
import { decodeName, encodeName, sameName } from './name.ts';

export const TSIG_ALGORITHMS = ['hmac-sha256', 'hmac-sha512'] as const;
export type TsigAlgorithm = (typeof TSIG_ALGORITHMS)[number];

export interface TsigKey {
  name: string;
  algorithm: TsigAlgorithm;
  secret: Buffer;
}

export interface Signed {
  message: Buffer;
  /** What the reply is signed over, too. */
  mac: Buffer;
}

/** RFC 8945, 4.2: the clocks of both may differ by so much. */
export const FUDGE_S = 300;

/** RFC 8945, 3. */
export const TSIG_ERROR = { BADSIG: 16, BADKEY: 17, BADTIME: 18 } as const;

/** What a reply says of its signature. */
export type Verdict =
  | { is: 'good' }
  /** The server could not or would not check ours; `skewS` is how far its clock is ahead of ours. */
  | { is: 'refused'; error: number; skewS?: number }
  | { is: 'unsigned' | 'forged' };

interface TsigData {
  algorithm: string;
  timeS: number;
  fudgeS: number;
  mac: Buffer;
  originalId: number;
  error: number;
  other: Buffer;
}

/** Signs a request (RFC 8945, 5.1): the record comes last, and is counted. */
export function signRequest(message: Buffer, key: TsigKey, nowMs: number): Signed {
  const data = {
    ...{ algorithm: key.algorithm, timeS: Math.floor(nowMs / 1000), fudgeS: FUDGE_S, error: 0 },
    ...{ originalId: message.readUInt16BE(0), other: Buffer.alloc(0) },
  };
  const mac = digest(key, [message, variables(key.name, data)]);
  const record = encodeRecord({
    ...{ name: key.name, type: TYPE.TSIG, class: CLASS.ANY, ttl: 0 },
    data: encodeTsig({ ...data, mac }),
  });
  const counted = Buffer.concat([message, record]);
  counted.writeUInt16BE(counted.readUInt16BE(10) + 1, 10);
  return { message: counted, mac };
}

/** Checks a reply to a signed request (RFC 8945, 5.3). */
export function verifyReply(
  bytes: Buffer,
  reply: ReadMessage,
  use: { key: TsigKey; requestMac: Buffer; nowMs: number },
): Verdict {
  const { key, requestMac, nowMs } = use;
  const record = reply.additional.at(-1);
  if (record?.type !== TYPE.TSIG) return { is: 'unsigned' };
  const data = decodeTsig(record.data);
  // Without a key in common nobody can sign: such a refusal is believed, for it gives nothing away.
  if (data.error === TSIG_ERROR.BADKEY || data.error === TSIG_ERROR.BADSIG) return { is: 'refused', error: data.error };
  if (!sameName(record.name, key.name) || !sameName(data.algorithm, key.algorithm)) return { is: 'forged' };
  const length = Buffer.alloc(2);
  length.writeUInt16BE(requestMac.length);
  const stripped = Buffer.from(bytes.subarray(0, reply.lastOffset));
  stripped.writeUInt16BE(data.originalId, 0);
  stripped.writeUInt16BE(stripped.readUInt16BE(10) - 1, 10);
  const wanted = digest(key, [length, requestMac, stripped, variables(record.name, data)]);
  if (wanted.length !== data.mac.length || !timingSafeEqual(wanted, data.mac)) return { is: 'forged' };
  const nowS = Math.floor(nowMs / 1000);
  if (data.error !== 0) {
    const skew = data.other.length === 6 ? { skewS: data.other.readUIntBE(0, 6) - nowS } : {};
    return { is: 'refused', error: data.error, ...skew };
  }
  if (Math.abs(data.timeS - nowS) > data.fudgeS)
    return { is: 'refused', error: TSIG_ERROR.BADTIME, skewS: data.timeS - nowS };
  return { is: 'good' };
}

function digest({ algorithm, secret }: TsigKey, pieces: readonly Buffer[]): Buffer {
  const hmac = createHmac(algorithm === 'hmac-sha256' ? 'sha256' : 'sha512', secret);
  for (const piece of pieces) hmac.update(piece);
  return hmac.digest();
}

/** RFC 8945, 4.3.3: in canonical form, so in small letters. */
function variables(name: string, { algorithm, timeS, fudgeS, error, other }: Omit<TsigData, 'mac'>): Buffer {
  const fixed = Buffer.alloc(6);
  fixed.writeUInt16BE(CLASS.ANY, 0);
  return Buffer.concat([
    ...[encodeName(name.toLowerCase()), fixed, encodeName(algorithm.toLowerCase())],
    ...[uint(timeS, 6), uint(fudgeS, 2), uint(error, 2), uint(other.length, 2), other],
  ]);
}

/** RFC 8945, 4.2. */
function encodeTsig({ algorithm, timeS, fudgeS, mac, originalId, error, other }: TsigData): Buffer {
  return Buffer.concat([
    ...[encodeName(algorithm), uint(timeS, 6), uint(fudgeS, 2), uint(mac.length, 2), mac],
    ...[uint(originalId, 2), uint(error, 2), uint(other.length, 2), other],
  ]);
}

function decodeTsig(data: Buffer): TsigData {
  const { name: algorithm, next } = decodeName(data, 0);
  const macEnd = next + 10 + data.readUInt16BE(next + 8);
  if (macEnd + 6 > data.length) throw new RangeError('a signature is cut off');
  return {
    ...{ algorithm, timeS: data.readUIntBE(next, 6), fudgeS: data.readUInt16BE(next + 6) },
    ...{ mac: data.subarray(next + 10, macEnd), originalId: data.readUInt16BE(macEnd) },
    ...{ error: data.readUInt16BE(macEnd + 2), other: data.subarray(macEnd + 6) },
  };
}

function uint(value: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUIntBE(value, 0, bytes);
  return buffer;
}
