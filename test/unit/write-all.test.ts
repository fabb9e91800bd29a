import assert from 'node:assert/strict';
import { PassThrough, Writable } from 'node:stream';
import { test } from 'node:test';
import { writeAll } from '../../activities/io/write-all.ts';

async function* pieces(count: number): AsyncGenerator<Buffer> {
  for (let piece = 0; piece < count; piece++) yield Buffer.from(`${piece},`);
}

test('pieces are written in order, one at a time, and nobody listens any more when they are', async () => {
  let [text, flying, most] = ['', 0, 0];
  const to = new Writable({
    highWaterMark: 1,
    write: (bytes: Buffer, _, done) => {
      most = Math.max(most, ++flying);
      setImmediate(() => {
        text += bytes.toString();
        flying -= 1;
        done();
      });
    },
  });
  const before = to.listenerCount('close');
  let listeners = 0;
  to.on(
    'newListener',
    (name) => (listeners = Math.max(listeners, name === 'close' ? to.listenerCount('close') + 1 : 0)),
  );
  await writeAll(pieces(40), to);
  assert.equal(text, Array.from({ length: 40 }, (_, piece) => `${piece},`).join(''));
  assert.deepEqual([most, listeners - before, to.listenerCount('close') - before], [1, 1, 0]);
});

test('who reads no more keeps nobody waiting', async () => {
  const to = new PassThrough({ highWaterMark: 1 });
  to.on('error', () => undefined);
  const written = writeAll(pieces(1000), to);
  setImmediate(() => to.destroy());
  await written;
  assert.equal(to.destroyed, true);
});
