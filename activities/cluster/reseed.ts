import { existsSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failure } from '../../workflows/model/failure.ts';
import { peerSlot } from '../../workflows/model/cluster.ts';
import { syncFolder } from '../io/atomic-file.ts';
import { translateFileError } from '../io/file-failure.ts';
import { libpqPlace } from '../io/postgres/libpq.ts';
import { runningServer } from '../io/postgres/server.ts';
import type { CommandResult } from '../io/run-command.ts';
import { runCommand } from '../io/run-command.ts';
import { besideOf, makeBeside, readProgress, writeProgress } from './beside.ts';
import type { Mover } from './epoch.ts';
import { claim } from './epoch.ts';
import { keepNodeFiles, putNodeFiles } from './kept-files.ts';
import type { NodeUse } from './node.ts';
import { binariesOf, connectionOf, ownerOf, peerOf } from './node.ts';
import { endNode } from './power.ts';
import { saidBy } from './rewind.ts';
import { writeStandbyFiles } from './standby-files.ts';
import { endStray } from './stray-programs.ts';

const PROGRAM = 'pg_basebackup';
const FAST_MS = 10_000;

/**
 * Makes a new copy of the primary beside the data directory, checks every file of it, and lets the two change places. The old one is
 * kept beside until the node is proven to follow. A repeat goes on behind the last step that was done.
 */
export async function reseed(use: NodeUse, order: Mover & { upstream: string }): Promise<{ old: string }> {
  const fresh = join(besideOf(use), 'fresh');
  // An attempt before this one may have ended between the two renames.
  if (!existsSync(use.node.dataDir)) await swap(use, fresh);
  await claim(use, order);
  await refuseTablespaces(use);
  const before = await readProgress(use);
  const isOurs = before?.run === order.run;
  if (!isOurs || (before.phase !== 'fetched' && before.phase !== 'swapped')) {
    await keepNodeFiles(use);
    await fetch(use, { upstream: order.upstream, fresh });
    await writeProgress(use, { run: order.run, phase: 'fetched' });
  }
  const old = await swap(use, fresh);
  await writeProgress(use, { run: order.run, phase: 'swapped' });
  await claim(use, order);
  return { old };
}

/** pg_basebackup would write them where the primary has them, and there stand those of this node. */
async function refuseTablespaces({ node, name }: NodeUse): Promise<void> {
  const path = join(node.dataDir, 'pg_tblspc');
  const found = existsSync(path) ? await readdir(path) : [];
  if (found.length === 0) return;
  throw failure('Unsupported', `${name} has tablespaces, which a new copy would write over`, {
    place: path,
    expected: 'all of it in its data directory',
    found: found.join(', '),
    hint: `bring it back by hand, or by lifeboat restore --standby; its files are as they were`,
  });
}

async function fetch(use: NodeUse, { upstream, fresh }: { upstream: string; fresh: string }): Promise<void> {
  const { cluster, run } = use;
  const { user, password } = cluster.replication;
  await endStray(use, PROGRAM, fresh);
  await makeBeside(use);
  await translateFileError(fresh, () => rm(fresh, { recursive: true, force: true, maxRetries: 3 }));
  const { password: _own, ...at } = connectionOf({ node: peerOf(use, upstream), cluster }, true);
  const login = { ...at, user, ...(password ? { password } : {}) };
  const { conninfo, env } = libpqPlace(login, { database: cluster.connection.database });
  const slot = ['-X', 'stream', '-S', peerSlot(use.name)];
  run.progress({ phase: `copy ${upstream}` });
  await program(use, { name: PROGRAM, args: ['-D', fresh, '-c', 'fast', ...slot, '-l', 'lifeboat rejoin', '-w', '-d', conninfo], env }); // prettier-ignore
  run.progress({ phase: 'check every file of the copy' });
  await program(use, { name: 'pg_verifybackup', args: ['-q', fresh], env: {} });
  const copied = { ...use, node: { ...use.node, dataDir: fresh } };
  await putNodeFiles(use, fresh);
  await writeStandbyFiles(copied, upstream);
}

async function program(
  use: NodeUse,
  { name, args, env }: { name: string; args: string[]; env: Record<string, string> },
): Promise<void> {
  const as = await ownerOf(use);
  const path = join(await binariesOf(use), name);
  const end: CommandResult = await runCommand(path, args, { signal: use.run.signal, env, ...(as ? { as } : {}) });
  if (end.code === 0) return;
  throw failure('Unavailable', `a copy of the primary could not be made for ${use.name}: ${saidBy(end)}`, {
    place: path,
    expected: 'exit 0',
    found: saidBy(end),
    hint: `it is tried again by itself, and what stands in ${use.node.dataDir} is untouched; see the log of the primary`,
  });
}

/** Two renames in one folder; whichever was done last is seen. */
async function swap(use: NodeUse, fresh: string): Promise<string> {
  const { dataDir } = use.node;
  const old = join(besideOf(use), 'before');
  if ((await runningServer(dataDir)) !== undefined && existsSync(fresh)) await endNode(use, FAST_MS);
  try {
    if (existsSync(fresh)) {
      if (existsSync(dataDir)) await rename(dataDir, await freeName(old));
      await rename(fresh, dataDir);
      await syncFolder(besideOf(use));
      await syncFolder(dirname(dataDir));
    }
    return old;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EBUSY' && code !== 'EXDEV') return translateFileError(dataDir, () => Promise.reject(error as Error));
    throw failure('Unsupported', `${dataDir} cannot change places with its new copy`, {
      place: dataDir,
      expected: 'a folder that can be renamed',
      found: `${code}: a mount point`,
      hint: `the copy stands in ${fresh}, whole and checked: put it in place by hand, then start again`,
    });
  }
}

/** What an earlier run left is not ours to remove. */
async function freeName(path: string): Promise<string> {
  for (let number = 1; ; number++) {
    const name = number === 1 ? path : `${path}.${number}`;
    if (!existsSync(name)) return name;
  }
}
