import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Threads } from '../../activities/io/threads.ts';

/** A job holds its thread until its word is not zero any more, and answers with its name. */
interface Job {
  name: string;
  word?: Int32Array;
}

const MODULE = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { parentPort } from 'node:worker_threads';
    parentPort.on('message', ({ id, job }) => {
      if (job.word) Atomics.wait(job.word, 0, 0);
      parentPort.postMessage({ id, result: job.name });
    });
  `)}`,
);

function held(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4));
}

function letGo(word: Int32Array): void {
  Atomics.store(word, 0, 1);
  Atomics.notify(word, 0);
}

test('jobs that wait for a disk leave a thread to those that do not, whatever came first', async () => {
  const threads = new Threads<Job, string>(2, MODULE, 1);
  const { signal } = new AbortController();
  const words = [held(), held()];
  try {
    const slow = words.map((word, index) =>
      threads.run({ job: { name: `slow ${index}`, word }, moved: [], signal, waits: true }),
    );
    assert.equal(await threads.run({ job: { name: 'quick' }, moved: [], signal }), 'quick');
    words.forEach(letGo);
    assert.deepEqual(await Promise.all(slow), ['slow 0', 'slow 1']);
  } finally {
    words.forEach(letGo);
    await threads.close();
  }
});

test('a job that is aborted while it queues ends at once, and takes no thread', async () => {
  const threads = new Threads<Job, string>(1, MODULE);
  const ender = new AbortController();
  const { signal } = new AbortController();
  const word = held();
  try {
    const slow = threads.run({ job: { name: 'slow', word }, moved: [], signal });
    const queued = threads.run({ job: { name: 'queued' }, moved: [], signal: ender.signal });
    ender.abort(new Error('ended'));
    await assert.rejects(queued, /ended/);
    letGo(word);
    assert.equal(await slow, 'slow');
    assert.equal(await threads.run({ job: { name: 'next' }, moved: [], signal }), 'next');
  } finally {
    letGo(word);
    await threads.close();
  }
});

test('an effect that is asked for after the end ends at once: nobody began it', async () => {
  const threads = new Threads<Job, string>(1, MODULE);
  const reason = new Error('over');
  try {
    const late = threads.run({ job: { name: 'late' }, moved: [], signal: AbortSignal.abort(reason), isEffect: true });
    await assert.rejects(late, reason);
  } finally {
    await threads.close();
  }
});
