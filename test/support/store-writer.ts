import { plainRun } from '../../activities/io/run.ts';
import { findStore } from '../../activities/stores/index.ts';

/**
 * Puts one object "a/b/c" from a process of its own: node store-writer.ts KIND OPTIONS MODE. It says "stored" when it is;
 * in mode "absent" it is put-if-absent, in mode "stuck" it says "writing" in the middle of the body and waits for its end.
 */
const [kind = '', options = '{}', mode = 'plain'] = process.argv.slice(2);

await using session = await findStore(kind).open(JSON.parse(options), plainRun());

async function* body(): AsyncIterable<Uint8Array> {
  yield Buffer.alloc(1 << 20);
  if (mode !== 'stuck') return;
  process.stdout.write('writing\n');
  setInterval(() => {}, 1 << 30);
  await new Promise(() => {});
}

await session.put('a/b/c', body, mode === 'absent' ? { ifAbsent: true } : {});
process.stdout.write('stored\n');
