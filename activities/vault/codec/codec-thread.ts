import { ownsMemory } from '../../io/memory.ts';
import type { Outcome } from '../../io/thread-side.ts';
import { serveJobs } from '../../io/thread-side.ts';
import { decode, encode, SPARE_BYTES } from './codec.ts';
import type { Job, Result } from './job.ts';

serveJobs(async (job: Job): Promise<Outcome<Result>> => {
  if (job.kind === 'decode') return moving({ bytes: await decode(job) });
  return moving(await encode(job));
});

/** Bytes that are not alone in their memory are copied: the rest of it must not move with them. */
function moving(result: Result): Outcome<Result> {
  const bytes = ownsMemory(result.bytes, SPARE_BYTES) ? result.bytes : Uint8Array.from(result.bytes);
  return { result: { ...result, bytes }, moved: [bytes.buffer] };
}
