import { join } from 'node:path';
import { findFailure } from '../../workflows/model/failure.ts';
import type { Rewound } from '../../workflows/model/rejoin.ts';
import { libpqPlace } from '../io/postgres/libpq.ts';
import { runningServer } from '../io/postgres/server.ts';
import type { CommandResult } from '../io/run-command.ts';
import { runCommand } from '../io/run-command.ts';
import { readProgress, writeProgress } from './beside.ts';
import { controlFields, isCleanState } from './control.ts';
import type { Mover } from './epoch.ts';
import { claim } from './epoch.ts';
import { readNodeFile, STANDBY_SIGNAL, writeNodeFile } from './files.ts';
import { keepNodeFiles, putNodeFiles } from './kept-files.ts';
import type { NodeUse } from './node.ts';
import { binariesOf, connectionOf, ownerOf, peerOf } from './node.ts';
import { endNode, settleNode } from './power.ts';
import { writeStandbyFiles } from './standby-files.ts';
import { endStray } from './stray-programs.ts';

const PROGRAM = 'pg_rewind';
const FAST_MS = 10_000;

export interface RewindOrder extends Mover {
  /** The primary, which has written a checkpoint since it was promoted. */
  upstream: string;
}

/**
 * Takes what a server wrote behind the fork back, by pg_rewind, and leaves it as a standby of `upstream` that is down. Tried dry first,
 * and begun once: one that was begun and did not come to its end is `ok: false` for ever, for nobody knows what its files are
 * (manual, pg_rewind, "Warnings"). Its own settings are put back.
 */
export async function rewind(use: NodeUse, order: RewindOrder): Promise<Rewound> {
  await claim(use, order);
  const before = await readProgress(use);
  await endStray(use, PROGRAM, use.node.dataDir);
  if (before?.phase === 'rewound' && before.run === order.run) return finished(use, order);
  if (before?.phase === 'rewound') return { ok: false, said: 'it was rewound before, and was not proven to follow' };
  if (before?.phase === 'rewinding')
    return { ok: false, said: 'a rewind was begun before and did not come to its end' };
  await writeNodeFile(use, STANDBY_SIGNAL, '');
  const unsettled = await settled(use);
  if (unsettled !== undefined) return { ok: false, said: unsettled };
  const dry = await call(use, order, ['--dry-run']);
  if (dry.code !== 0) return { ok: false, said: saidBy(dry) };
  await keepNodeFiles(use);
  await writeProgress(use, { run: order.run, phase: 'rewinding' });
  const end = await call(use, order, []);
  if (end.code !== 0) return { ok: false, said: saidBy(end) };
  // Only a rewind that took something back leaves it (src/bin/pg_rewind/pg_rewind.c, createBackupLabel).
  if ((await readNodeFile(use, 'backup_label')) === undefined)
    return { ok: false, said: `${PROGRAM} found nothing to take back, although there is` };
  await writeStandbyFiles(use, order.upstream);
  await writeProgress(use, { run: order.run, phase: 'rewound' });
  return finished(use, order);
}

async function finished(use: NodeUse, { upstream, ...mover }: RewindOrder): Promise<Rewound> {
  await putNodeFiles(use);
  await writeStandbyFiles(use, upstream);
  // It has that of the primary.
  await claim(use, mover);
  return { ok: true, said: '' };
}

/** pg_rewind wants a server that was shut down in good order, and would itself start one that is no standby. */
async function settled(use: NodeUse): Promise<string | undefined> {
  if ((await runningServer(use.node.dataDir)) !== undefined) await endNode(use, FAST_MS);
  const stateNow = async (): Promise<string> => (await controlFields(use)).get('Database cluster state') ?? '';
  if (isCleanState(await stateNow())) return undefined;
  try {
    use.run.progress({ phase: `${use.name} replays its own WAL` });
    await settleNode(use);
  } catch (error) {
    use.run.signal.throwIfAborted();
    if (!findFailure(error)) throw error;
    return `it does not come to the end of its own WAL: ${findFailure(error)?.message ?? ''}`;
  }
  const state = await stateNow();
  return isCleanState(state) ? undefined : `it could not be shut down in good order: ${state}`;
}

async function call(use: NodeUse, { upstream }: RewindOrder, more: readonly string[]): Promise<CommandResult> {
  const { node, cluster, run } = use;
  const as = await ownerOf(use);
  const source = connectionOf({ node: peerOf(use, upstream), cluster }, true);
  const { conninfo, env } = libpqPlace(source, { database: cluster.connection.database });
  run.progress({ phase: `${PROGRAM} ${more.join(' ')}`.trim() });
  const args = ['-D', node.dataDir, `--source-server=${conninfo}`, ...more];
  return runCommand(join(await binariesOf(use), PROGRAM), args, { signal: run.signal, env, ...(as ? { as } : {}) });
}

export function saidBy({ code, stderr }: CommandResult): string {
  const lines = stderr.trim().split('\n');
  const last = lines.findLast((line) => /error|fatal/i.test(line)) ?? lines.at(-1) ?? '';
  return `exit ${code ?? 'by a signal'}: ${last.slice(0, 300)}`;
}
