import { failure } from '../../workflows/model/failure.ts';
import { crc32c } from '../io/crc32c.ts';

/** What a part must hold; plain data, of a form that crosses threads cheaply: a part may hold pieces of many thousand files. */
export interface VerifyJob {
  number: number;
  /** File that each piece belongs to. */
  paths: string[];
  /** Of each piece: offset in the part, bytes, CRC-32C. */
  pieces: number[];
}

const NUMBERS = 3;

/** Compares every piece of a part with its sum, in the thread that decoded it. */
export function use(part: Uint8Array, { number, paths, pieces }: VerifyJob): void {
  for (const [index, path] of paths.entries()) {
    const [at = 0, bytes = 0, stated = 0] = pieces.slice(index * NUMBERS, (index + 1) * NUMBERS);
    const found = crc32c(part.subarray(at, at + bytes));
    if (found === stated) continue;
    throw failure('Integrity', `${path} is not what the manifest says`, {
      place: `part ${number}, bytes ${at} to ${at + bytes}`,
      expected: `CRC-32C ${stated.toString(16)}`,
      found: `CRC-32C ${found.toString(16)}`,
      hint: 'this backup was written wrong; take a new one with lifeboat backup',
    });
  }
}
