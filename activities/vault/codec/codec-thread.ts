import { parentPort } from 'node:worker_threads';
import { failureFacts, failureTypeOf, findFailure } from '../../../workflows/model/failure.ts';
import { decode, encode } from './codec.ts';
import type { Answer, Job, JobError } from './job.ts';

parentPort?.on('message', ({ id, job }: { id: number; job: Job }) => {
  void answer(id, job).then((reply) => {
    const buffer = 'bytes' in reply ? reply.bytes.buffer : undefined;
    parentPort?.postMessage(reply, buffer instanceof ArrayBuffer ? [buffer] : []);
  });
});

async function answer(id: number, job: Job): Promise<Answer> {
  try {
    if (job.kind === 'encode') {
      const { bytes, sha256 } = await encode(job);
      return { id, bytes: owned(bytes), sha256 };
    }
    return { id, bytes: owned(await decode(job)) };
  } catch (error) {
    return { id, error: asData(error) };
  }
}

/** A buffer that may be transferred: alone in its memory. */
function owned(bytes: Buffer): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : Uint8Array.from(bytes);
}

function asData(error: unknown): JobError {
  const integrity = failureTypeOf(error) === 'Integrity';
  const { place, expected, found } = failureFacts(error);
  return {
    type: integrity ? 'Integrity' : 'Bug',
    message: findFailure(error)?.message ?? String(error),
    ...(place === undefined ? {} : { place }),
    ...(expected === undefined ? {} : { expected }),
    ...(found === undefined ? {} : { found }),
  };
}
