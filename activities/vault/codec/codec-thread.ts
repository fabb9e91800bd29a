import { ownsMemory, release, SPARE_BYTES } from '../../io/memory.ts';
import type { Outcome } from '../../io/thread-side.ts';
import { serveJobs } from '../../io/thread-side.ts';
import type { Filled, PartQuestion } from '../../sources/part-sink.ts';
import type { PartUse } from '../../sources/source.ts';
import { decode, encode } from './codec.ts';
import type { FillJob, Job, Result } from './job.ts';

serveJobs(async (job: Job): Promise<Outcome<Result>> => {
  if (job.kind === 'encode') return moving(encode(job));
  if (job.kind === 'fill') return moving(await fill(job));
  if (job.kind === 'ask') return saying(await ask(job.question), 0);
  const bytes = decode(job);
  if (!job.use) return moving({ bytes });
  const plainBytes = bytes.length;
  return saying(await use(bytes, job.use), plainBytes);
});

const NOTHING = new Uint8Array();

function saying(said: unknown, plainBytes: number): Outcome<Result> {
  return { result: { bytes: NOTHING, brought: { plainBytes, said } }, moved: [] };
}

async function ask({ module, job }: PartQuestion): Promise<unknown> {
  return ((await import(module)) as { answer(job: unknown): unknown }).answer(job);
}

async function fill({ fill: { module, job }, ...how }: FillJob): Promise<Result> {
  const filler = (await import(module)) as { fill(job: unknown): Filled };
  const { bytes, said } = filler.fill(job);
  const plainBytes = bytes.length;
  return { ...encode({ ...how, kind: 'encode', bytes }), brought: { plainBytes, said } };
}

/** The memory comes back at once: the next part finds it warm. */
async function use(bytes: Buffer, { module, job }: PartUse): Promise<unknown> {
  try {
    const used = (await import(module)) as { use(bytes: Uint8Array, job: unknown): unknown };
    return used.use(bytes, job);
  } finally {
    if (ownsMemory(bytes, SPARE_BYTES)) release(new Uint8Array(bytes.buffer));
  }
}

/** Bytes that are not alone in their memory are copied: the rest of it must not move with them. */
function moving(result: Result): Outcome<Result> {
  const bytes = ownsMemory(result.bytes, SPARE_BYTES) ? result.bytes : Uint8Array.from(result.bytes);
  return { result: { ...result, bytes }, moved: [bytes.buffer] };
}
