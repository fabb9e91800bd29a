import type { Observation, Sight } from '../workflows/model/outage.ts';
import { digestOf } from '../workflows/model/outage.ts';
import { withRun } from './activity-run.ts';
import type { ClusterConfig } from './config/index.ts';
import { sightOf } from './cluster/sight.ts';
import { clusterConfig } from './describe-cluster.ts';
import type { Deps } from './deps.ts';
import { isoTime } from './io/clock.ts';
import type { Run } from './io/run.ts';

export interface ObserveTask {
  source: string;
  service: string;
  /** Digest of what this host said last: it speaks again when it sees something else. Absent: at once. */
  seen?: string;
}

/** Without news it speaks after so long all the same. */
const SPEAK_MS = 10 * 60_000;

/**
 * All nodes as this host sees them. It looks again and again, and answers when two looks in a row say the same and something else than
 * last time: one packet that is lost calls nobody.
 */
export function observeCluster(deps: Deps, { service, seen }: ObserveTask): Promise<Observation> {
  const cluster = clusterConfig(deps, service);
  return withRun(deps, async (run) => {
    const { clock, signal } = run;
    const deadline = clock.nowMs() + SPEAK_MS;
    let before = seen;
    for (;;) {
      const at = isoTime(clock.nowMs());
      const sights = await sightsOf({ cluster, service, run, host: deps.host });
      const said = digestOf(sights);
      const isNews = said !== seen && (seen === undefined || said === before);
      if (isNews || clock.nowMs() >= deadline) return { host: deps.host, at, sights };
      before = said;
      run.progress({ phase: 'observe', note: said });
      await clock.sleep(cluster.watch.every, signal);
    }
  });
}

function sightsOf(use: { cluster: ClusterConfig; service: string; run: Run; host: string }): Promise<Sight[]> {
  return Promise.all(Object.entries(use.cluster.nodes).map(([name, node]) => sightOf({ ...use, name, node })));
}
