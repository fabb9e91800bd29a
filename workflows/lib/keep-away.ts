import { isCancellation, sleep, workflowInfo } from '@temporalio/workflow';
import { hostQueue } from '../model/names.ts';
import type { StalePrimary } from '../model/stale-primary.ts';
import { stalePrimary } from '../model/stale-primary.ts';
import { settling } from '../options.ts';
import { messageOf } from './conclude.ts';
import { lookAt, nodeOf, taskOf } from './nodes.ts';
import type { Watching } from './watching.ts';

const AGAIN_MS = 15_000;

type Use = Pick<Watching, 'cluster' | 'journal' | 'notices'>;

/**
 * Ends a primary that a failover has left and that came back by itself, with a signal file, so that it stays a standby whatever starts
 * it; its data stays as it is. As long as `isStill`: a host that comes up may need a while until its worker answers.
 */
export async function keepAway(use: Use, names: readonly string[], isStill: () => boolean): Promise<void> {
  const { cluster, journal } = use;
  while (isStill()) {
    try {
      const states = await Promise.all(names.map((name) => lookAt(cluster, nodeOf(cluster, name))));
      const stale = stalePrimary(states);
      if (stale && isStill()) return await quarantine(use, stale);
    } catch (error) {
      if (isCancellation(error)) throw error;
      journal.note(`no old primary was ended: ${messageOf(error)}`);
    }
    await sleep(AGAIN_MS, { summary: 'until both primaries are looked at again' });
  }
}

async function quarantine({ cluster, journal, notices }: Use, { node, epoch, why }: StalePrimary): Promise<void> {
  const old = nodeOf(cluster, node);
  journal.note(`${node} is kept from serving: ${why}`);
  const acts = settling({ summary: `keep ${node} from serving`, taskQueue: hostQueue(old.host) });
  await acts.quarantineNode({ ...taskOf(cluster, old), epoch, run: workflowInfo().runId });
  const body = `${why}.\nWhat it took since is on it alone: lifeboat rejoin ${cluster.service} ${node} --dry-run`;
  const title = `service ${cluster.service}: ${node} came back as a primary, and was ended`;
  notices.send({ severity: 'warning', title, body, about: `back ${node}` });
}
