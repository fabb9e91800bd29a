import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startStack } from '../../workers/dev/stack/index.ts';
import { makeOwned, run } from './postgres.ts';

/**
 * A process that owns a stack and then hangs. It prints one JSON line: the folder, and the pids of all that runs for it,
 * among them a process whose parent left it behind and a PostgreSQL that went into a session of its own.
 */
const stack = await startStack({ ports: 'free', log: (line) => void process.stderr.write(`${line}\n`) });
const { postgres, temporal } = stack;
if (!postgres) throw new Error('the stack has no PostgreSQL');
const load = stack.spawn('load', 'sh', ['-c', 'sleep 1000 & echo $! > orphan.pid; wait']);
const second = join(stack.dir, 'second');
await makeOwned(second);
const data = join(second, 'data');
await run(join(postgres.binaries, 'initdb'), ['-D', data, '--no-sync', '--locale=C']);
await writeFile(join(data, 'postgresql.auto.conf'), `listen_addresses = ''\nunix_socket_directories = '${second}'\n`);
await run(join(postgres.binaries, 'pg_ctl'), ['-D', data, '-l', join(second, 'log'), '-w', 'start']);
const pids = { temporal: temporal.pid, postgres: postgres.pid, load: load.pid };
process.stdout.write(
  `${JSON.stringify({ dir: stack.dir, pids, orphanPidFile: join(stack.dir, 'orphan.pid'), data })}\n`,
);
setInterval(() => undefined, 60_000);
