import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { exclusively } from '../../activities/io/exclusive.ts';
import type { Progress } from '../../activities/io/run.ts';
import { plainRun } from '../../activities/io/run.ts';

const MODULE = fileURLToPath(new URL('../../activities/io/exclusive.ts', import.meta.url));
const RUN = fileURLToPath(new URL('../../activities/io/run.ts', import.meta.url));

test('a second call waits for the first, and says so', async () => {
  const place = randomUUID();
  const order: string[] = [];
  const waits = Promise.withResolvers<Progress>();
  const first = exclusively(place, plainRun(), async () => {
    order.push('first begins');
    assert.match((await waits.promise).note ?? '', new RegExp(place));
    order.push('first ends');
  });
  const second = exclusively(place, plainRun({ progress: waits.resolve }), () => Promise.resolve(order.push('second')));
  await Promise.all([first, second]);
  assert.deepEqual(order, ['first begins', 'first ends', 'second']);
});

test('work that fails gives the place back, and one place is not another', async () => {
  const place = randomUUID();
  await assert.rejects(
    exclusively(place, plainRun(), () => Promise.reject(new Error('broken'))),
    /broken/,
  );
  const inner = (): Promise<string> => exclusively(randomUUID(), plainRun(), () => Promise.resolve('done'));
  assert.equal(await exclusively(place, plainRun(), inner), 'done');
});

test('a cancelled call waits no longer', async () => {
  const place = randomUUID();
  const stop = new AbortController();
  const progress = (): void => stop.abort(new Error('cancelled'));
  await exclusively(place, plainRun(), async () => {
    const waiting = exclusively(place, plainRun({ signal: stop.signal, progress }), () => Promise.resolve());
    await assert.rejects(waiting, /cancelled/);
  });
});

test('a process that was killed holds nothing', async () => {
  const place = randomUUID();
  const script = `
    const { exclusively } = await import(${JSON.stringify(MODULE)});
    const { plainRun } = await import(${JSON.stringify(RUN)});
    await exclusively(${JSON.stringify(place)}, plainRun(), async () => {
      console.log('held');
      await new Promise((resolve) => setTimeout(resolve, 1e6));
    });`;
  const holder = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  const waits = Promise.withResolvers<Progress>();
  const next = exclusively(place, plainRun({ progress: waits.resolve }), () => Promise.resolve('mine'));
  await waits.promise;
  holder.kill('SIGKILL');
  assert.equal(await next, 'mine');
});
