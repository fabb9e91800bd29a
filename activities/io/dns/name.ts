import { failure } from '../../../workflows/model/failure.ts';

const LONGEST_LABEL = 63;
const LONGEST_NAME = 255;

/** A domain name as we take it in a configuration: letters, digits, "-" and "_", without the last dot. */
export const DOMAIN_NAME =
  /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*$/;

/** RFC 1035, 3.1: labels, each behind its length; "" is the root. Never compressed, so that a digest over it is always the same. */
export function encodeName(name: string): Buffer {
  const labels = name === '' ? [] : name.replace(/\.$/, '').split('.');
  const pieces = labels.flatMap((label) => {
    const bytes = Buffer.from(label, 'latin1');
    if (bytes.length === 0 || bytes.length > LONGEST_LABEL) throw notAName(name);
    return [Buffer.from([bytes.length]), bytes];
  });
  const encoded = Buffer.concat([...pieces, Buffer.from([0])]);
  if (encoded.length > LONGEST_NAME) throw notAName(name);
  return encoded;
}

function notAName(name: string): Error {
  return failure('ConfigInvalid', `${JSON.stringify(name)} is no domain name`, {
    expected: `labels of at most ${LONGEST_LABEL} letters, ${LONGEST_NAME} together`,
    found: name,
    hint: 'correct the name',
  });
}

/** The name at `offset` and where what follows it starts; RangeError when there is none. */
export function decodeName(message: Buffer, offset: number): { name: string; next: number } {
  const { labels, next } = readLabels(message, offset);
  return { name: labels.map(labelText).join('.'), next };
}

/** The same, as bytes without compression. */
export function expandName(message: Buffer, offset: number): { bytes: Buffer; next: number } {
  const { labels, next } = readLabels(message, offset);
  const pieces = labels.flatMap((label) => [Buffer.from([label.length]), label]);
  return { bytes: Buffer.concat([...pieces, Buffer.from([0])]), next };
}

/** Follows compression (RFC 1035, 4.1.4). */
function readLabels(message: Buffer, offset: number): { labels: Buffer[]; next: number } {
  const labels: Buffer[] = [];
  let at = offset;
  let next: number | undefined;
  // A pointer leads backwards only: a loop cannot come to be.
  for (let lowest = offset; ;) {
    const length = message.readUInt8(at);
    if (length === 0) return { labels, next: next ?? at + 1 };
    if (length >= 0xc0) {
      next ??= at + 2;
      at = message.readUInt16BE(at) & 0x3fff;
      if (at >= lowest) throw new RangeError('a name leads forwards');
      lowest = at;
      continue;
    }
    if (length > LONGEST_LABEL || at + 1 + length > message.length) throw new RangeError('a label is cut off');
    labels.push(message.subarray(at + 1, at + 1 + length));
    at += 1 + length;
  }
}

/** RFC 1035, 5.1: what would be read as something else is escaped. */
function labelText(bytes: Buffer): string {
  return [...bytes]
    .map((byte) => {
      const letter = String.fromCharCode(byte);
      if (letter === '.' || letter === '\\') return `\\${letter}`;
      return byte > 0x20 && byte < 0x7f ? letter : `\\${String(byte).padStart(3, '0')}`;
    })
    .join('');
}

/** Names do not differ by case (RFC 4343). */
export function sameName(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
