import { crc32c as nativeCrc32c } from '@node-rs/crc32';

/** CRC-32C (Castagnoli, RFC 3720 B.4), unsigned. `seed` continues an earlier call's result. */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  return nativeCrc32c(bytes as Buffer, seed) >>> 0;
}

const POLYNOMIAL = 0x82f63b78;

/** One step "multiply by x^n" as a 32 x 32 bit matrix over GF(2): row i is the image of bit i. */
type Matrix = Uint32Array;

function apply(matrix: Matrix, vector: number): number {
  let sum = 0;
  for (let bit = 0, rest = vector; rest !== 0; bit++, rest >>>= 1) {
    if (rest & 1) sum ^= matrix[bit] ?? 0;
  }
  return sum >>> 0;
}

function square(matrix: Matrix): Matrix {
  return Uint32Array.from(matrix, (row) => apply(matrix, row));
}

/** squares[k] appends 2^k zero bytes. */
const squares: Matrix[] = [oneZeroByte()];

function oneZeroByte(): Matrix {
  const oneBit = new Uint32Array(32);
  oneBit[0] = POLYNOMIAL;
  for (let bit = 1; bit < 32; bit++) oneBit[bit] = 2 ** (bit - 1);
  return square(square(square(oneBit)));
}

/** CRC of A followed by B, from the CRC of each and the length of B in bytes (zlib's crc32_combine, other polynomial). */
export function crc32cCombine(crcA: number, crcB: number, bytesB: number): number {
  let crc = crcA;
  for (let power = 0, rest = bytesB; rest > 0; power++, rest = Math.floor(rest / 2)) {
    const matrix = (squares[power] ??= square(squares[power - 1] as Matrix));
    if (rest % 2 === 1) crc = apply(matrix, crc);
  }
  return (crc ^ crcB) >>> 0;
}
