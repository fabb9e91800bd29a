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
    if (job.kind === 'decode') return { id, bytes: alone(await decode(job)) };
    const { bytes, sha256 } = await encode(job);
    return { id, bytes: alone(bytes), sha256 };
  } catch (error) {
    return { id, error: asData(error) };
  }
}

/** Bytes that are alone in their memory, and may move to another thread. */
function alone(bytes: Buffer): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : Uint8Array.from(bytes);
}

function asData(error: unknown): JobError {
  const facts = failureFacts(error);
  const message = findFailure(error)?.message ?? String(error);
  // The hint is a field of its own here: whoever makes the failure again appends it again.
  return { ...facts, type: failureTypeOf(error) ?? 'Bug', message: message.replace(` (hint: ${facts.hint})`, '') };
}
