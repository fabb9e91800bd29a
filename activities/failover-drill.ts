import { join } from 'node:path';
import type { CloneMade, CloneRemoved, CloneStarted } from '../workflows/model/failover-drill.ts';
import type { Check } from '../workflows/model/recovery.ts';
import { cloneUse } from './cluster/clone.ts';
import { makeClone as make } from './cluster/clone-copy.ts';
import { removeClone as remove } from './cluster/clone-remove.ts';
import { startClone as start } from './cluster/clone-start.ts';
import type { NodeUse } from './cluster/node.ts';
import { binariesOf, connectionOf, ownerOf } from './cluster/node.ts';
import { saidBy } from './cluster/rewind.ts';
import type { Deps } from './deps.ts';
import { runCommand } from './io/run-command.ts';
import type { NodeTask } from './nodes.ts';
import { onNode } from './nodes.ts';
import { runChecks } from './service.ts';

/** Copies a standby into a folder of its own. A repeat by the same run finds it there. */
export function makeClone(deps: Deps, task: NodeTask & { run: string }): Promise<CloneMade> {
  return onNode(deps, task, (use) => make(use, task));
}

/** Starts the clone of a standby where it cannot reach production, and says what shows that. */
export function startClone(deps: Deps, task: NodeTask & { run: string }): Promise<CloneStarted> {
  return onNode(deps, task, (use) => start(use, task));
}

/** The clone as the primary of the service: its checks, given the folder of a socket instead of an address, and pg_amcheck. */
export function checkClone(deps: Deps, task: NodeTask): Promise<Check[]> {
  return onNode(deps, task, async (use) => {
    const clone = cloneUse(use);
    const { host, port } = connectionOf(clone);
    const at = { name: clone.name, host, port, environment: { LIFEBOAT_DRILL: 'failover' }, isCopy: true as const };
    const checks = await runChecks(deps, task, { run: use.run, at });
    return use.cluster.drill.amcheck ? [...checks, await amcheck(clone)] : checks;
  });
}

/** Every relation and index of every database; the extension is made in the clone where it is not there. */
async function amcheck(clone: NodeUse): Promise<Check> {
  const { host, port, user } = connectionOf(clone);
  const as = await ownerOf(clone);
  const program = join(await binariesOf(clone), 'pg_amcheck');
  clone.run.progress({ phase: `check every relation of ${clone.name}` });
  const args = ['--all', '--install-missing', '-h', host, '-p', String(port), '-U', user, '-w'];
  const end = await runCommand(program, args, { signal: clone.run.signal, ...(as ? { as } : {}) });
  const words = end.stdout.trim().split('\n').at(-1)?.slice(0, 300);
  const found = end.code === 0 ? 'nothing wrong' : `${saidBy(end)} ${words ?? ''}`.trim();
  return { name: 'pg_amcheck', ok: end.code === 0, expected: 'nothing wrong', found };
}

/** Removes the clone of a standby, and says what shows that nothing is left. A repeat says the same. */
export function removeClone(deps: Deps, task: NodeTask & { namespace?: string }): Promise<CloneRemoved> {
  return onNode(deps, task, (use) => remove(use, task));
}
