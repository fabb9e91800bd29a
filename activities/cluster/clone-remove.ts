import { existsSync } from 'node:fs';
import { readdir, readlink, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { failure } from '../../workflows/model/failure.ts';
import type { CloneRemoved } from '../../workflows/model/failover-drill.ts';
import { syncFolder } from '../io/atomic-file.ts';
import { translateFileError } from '../io/file-failure.ts';
import { clonePlace, cloneUse, foreignIn, readNote } from './clone.ts';
import type { NodeUse } from './node.ts';
import { endNode, processesOn } from './power.ts';
import { endStray } from './stray-programs.ts';

const FAST_MS = 5_000;
/** What an attempt that died may have left running: each has the folder among its words. */
const STRAYS = ['pg_basebackup', 'unshare', 'setpriv', 'pg_ctl'];

/**
 * Removes the clone of a node, however far it came, and says what shows that nothing of it is left. `namespace`: of its network, where that is
 * known. A repeat finds nothing, and says the same. A folder that somebody else has made is left alone.
 */
export async function removeClone(use: NodeUse, { namespace }: { namespace?: string }): Promise<CloneRemoved> {
  const note = await readNote(use);
  const { folder, data, sockets } = clonePlace(use.node);
  const isForeign = (await foreignIn(use)).length > 0;
  await clearClone(use);
  const left = existsSync(data) ? await processesOn(data) : [];
  const net = namespace ?? note?.namespace;
  const inNet = net === undefined ? [] : await processesIn(net);
  const paths = isForeign ? [] : [folder, data, sockets].filter((path) => existsSync(path));
  const none = (name: string, found: readonly (string | number)[]): CloneRemoved['checks'][number] => ({
    ...{ name, ok: found.length === 0, expected: 'none', found: found.join(', ') || 'none' },
  });
  return {
    checks: [
      none('processes of the clone', left),
      ...(net === undefined ? [] : [none(`processes in its network ${net}`, inNet)]),
      none('files and sockets of the clone', paths),
    ],
  };
}

/** Ends and removes what stands in the place of a clone, when that is one of ours. Unavailable when it does not end. */
export async function clearClone(use: NodeUse): Promise<void> {
  const { folder, data } = clonePlace(use.node);
  if (!existsSync(folder) || (await foreignIn(use)).length > 0) return;
  for (const program of STRAYS) await endStray(use, program, data);
  if (existsSync(data) && !(await endNode(cloneUse(use), FAST_MS))) {
    throw failure('Unavailable', `the clone of ${use.name} does not end`, {
      ...{ place: data, expected: 'no process of it', found: 'some are left' },
      hint: 'it is tried again by itself; see what holds them',
    });
  }
  use.run.progress({ phase: `remove the clone of ${use.name}` });
  await translateFileError(folder, async () => {
    // The note goes last: what is left without it would be somebody else's.
    for (const name of await readdir(folder))
      if (name !== 'clone.json') await rm(`${folder}/${name}`, { recursive: true, force: true, maxRetries: 3 });
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    await syncFolder(dirname(folder));
  });
}

async function processesIn(namespace: string): Promise<number[]> {
  const numbers = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    numbers.map(async (name) =>
      (await readlink(`/proc/${name}/ns/net`).catch(() => '')) === namespace ? [Number(name)] : [],
    ),
  );
  return found.flat();
}
