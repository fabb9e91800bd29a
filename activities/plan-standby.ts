import { join } from 'node:path';
import { failure } from '../workflows/model/failure.ts';
import type { PointSummary } from '../workflows/model/manifest.ts';
import type { RecoveryPlan } from '../workflows/model/recovery.ts';
import type { StandbyPlan } from '../workflows/model/standby.ts';
import { packageFolder } from './config/version.ts';
import type { Deps } from './deps.ts';
import type { PlanTask } from './plan.ts';
import type { SourceUse } from './use-source.ts';

interface Planning {
  deps: Deps;
  task: PlanTask;
  use: SourceUse;
  base: PointSummary;
  /** Where the WAL of the vault ends. */
  timeline: number;
}

/** Whom the standby follows, when one is wished for; refused when it cannot. */
export async function standbyOf(at: Planning): Promise<{ standby?: StandbyPlan }> {
  const { task } = at;
  if (!task.standby) return {};
  const { follow = 'streaming', slot } = task;
  return {
    standby: {
      ...{ follow, fetch: fetchCommand(at) },
      ...(slot === undefined ? {} : { slot }),
      ...(follow === 'archive' ? {} : { primary: await primaryFor(at) }),
    },
  };
}

async function primaryFor({ task, use, base, timeline }: Planning): Promise<NonNullable<StandbyPlan['primary']>> {
  const { fromServer: server, slot } = task;
  const { upstream } = use.session.recovery;
  if (!upstream) throw failure('Bug', `source ${use.name} has WAL and no servers to stream from`);
  return upstream({
    ...{ base, timeline },
    ...(server === undefined ? {} : { server }),
    ...(slot === undefined ? {} : { slot }),
  });
}

/**
 * Outlives this run and this worker. The server has what it asks for by it on its own disk or from its primary, too, so
 * that a vault that is away does not end it.
 */
function fetchCommand({ deps, task, use }: Planning): string[] {
  const lifeboat = join(packageFolder(), 'client/lifeboat.sh');
  const words = ['wal-fetch', task.source, '%f', '%p', '--config', deps.config.path];
  const { fetch } = use.config.wal;
  return [lifeboat, ...words, '--standby', '--keep-inside', ...(fetch ? ['--agent', fetch.socket] : [])];
}

/** What a person should know before there is a standby. */
export function notesOfStandby({ standby, into }: RecoveryPlan): string[] {
  if (!standby) return [];
  const notes = ['it stays a standby: read-only, and promoted by nobody but you'];
  if (standby.follow === 'archive') return notes;
  return [
    ...notes,
    `what it logs in with stands in ${into}.lifeboat, which has to stay`,
    'a tablespace that the primary makes from now on is made at the same path here',
  ];
}
