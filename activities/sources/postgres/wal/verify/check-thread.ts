import type { RunJob, RunSaid } from './check-run.ts';
import { checkRun } from './check-run.ts';

/** Checks what an object holds, in the thread that decoded it. */
export function use(bytes: Uint8Array, job: RunJob): RunSaid {
  return checkRun(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), job);
}
