import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { failure } from '../../../../workflows/model/failure.ts';
import { fileFailure } from '../../../io/file-failure.ts';
import { serveJobs } from '../../../io/thread-side.ts';
import type { ApplyJob } from './apply-job.ts';
import { applyIncrement } from './increment-file.ts';

serveJobs(({ from, to, sizes }: ApplyJob) => {
  try {
    apply(from, to, sizes);
  } catch (error) {
    throw fileFailure(to, error);
  }
  return { result: undefined, moved: [] };
});

function apply(from: string, to: string, sizes: ApplyJob['sizes']): void {
  const file = openSync(from, 'r');
  try {
    const read = (at: number, bytes: number): Uint8Array => readWhole(file, { from, at, bytes });
    applyIncrement({ path: from, bytes: fstatSync(file).size, read }, to, sizes);
  } finally {
    closeSync(file);
  }
}

function readWhole(file: number, { from, at, bytes }: { from: string; at: number; bytes: number }): Uint8Array {
  const buffer = Buffer.alloc(bytes);
  for (let done = 0; done < bytes;) {
    const count = readSync(file, buffer, done, bytes - done, at + done);
    if (count === 0) throw failure('Integrity', `${from} is cut`, { place: from, expected: `${at + bytes} bytes` });
    done += count;
  }
  return buffer;
}
