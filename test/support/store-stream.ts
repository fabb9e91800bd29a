import { plainRun } from '../../activities/io/run.ts';
import { findStore } from '../../activities/stores/index.ts';

/**
 * Streams a large object through a store, in a process of its own: node store-stream.ts KIND OPTIONS MEBIBYTES. Prints the
 * bytes read back and the most memory the process ever held.
 */
const [kind = '', options = '{}', mebibytes = '0'] = process.argv.slice(2);
const CHUNK_BYTES = 1 << 20;

await using session = await findStore(kind).open(JSON.parse(options), plainRun());

await session.put('large', async function* () {
  for (let number = 0; number < Number(mebibytes); number++) yield Buffer.alloc(CHUNK_BYTES, number);
});
let bytes = 0;
for await (const chunk of await session.get('large')) bytes += (chunk as Buffer).length;

process.stdout.write(JSON.stringify({ bytes, peakBytes: process.resourceUsage().maxRSS * 1024 }));
