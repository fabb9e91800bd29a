import { findFailure } from '../../workflows/model/failure.ts';
import { runCommand } from '../io/run-command.ts';
import type { NodeUse } from './node.ts';
import { ownerOf } from './node.ts';
import type { Launcher } from './power.ts';

const UNSHARE = '/usr/bin/unshare';

/**
 * What starts a server in a network of its own, with nothing in it but a loopback that is down: root may, and others by a user namespace
 * (unshare(1), user_namespaces(7)); else why that cannot be.
 */
export async function launcherOf(use: NodeUse): Promise<Launcher | { why: string }> {
  const owner = await ownerOf(use);
  const command = owner
    ? [UNSHARE, '--net', 'setpriv', `--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups']
    : [UNSHARE, '--user', '--map-current-user', '--net'];
  const [program = '', ...args] = command;
  try {
    const { code, stderr } = await runCommand(program, [...args, 'true'], { signal: use.run.signal });
    if (code === 0) return { command };
    return { why: stderr.trim().split('\n').at(-1) ?? `exit ${code ?? 'by a signal'}` };
  } catch (error) {
    use.run.signal.throwIfAborted();
    const known = findFailure(error);
    if (!known) throw error;
    return { why: known.message };
  }
}
