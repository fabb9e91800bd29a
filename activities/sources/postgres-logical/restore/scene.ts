import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import { findUser } from '../../../io/postgres/host.ts';
import type { Destination } from '../../../io/postgres/logical/destination.ts';
import { reachServer } from '../../../io/postgres/logical/destination.ts';
import { findPrograms } from '../../../io/postgres/programs.ts';
import type { Run } from '../../../io/run.ts';
import type { RunAs } from '../../../io/run-command.ts';
import type { LogicalOptions } from '../options.ts';
import { destinationOf } from './destination.ts';

/** What the steps of a restore share. */
export interface Restore {
  plan: RecoveryPlan;
  options: LogicalOptions;
  run: Run;
  /** Folder of PostgreSQL's programs on this host. */
  folder: string;
  /** Set when we are root and the cluster is our own: who runs it and owns its files. */
  as?: RunAs;
}

/** Unsupported when this host lacks programs that can read the dump, or run its like. */
export async function restoreOf(plan: RecoveryPlan, options: LogicalOptions, run: Run): Promise<Restore> {
  const { toolMajor = 0, into } = plan.dump ?? {};
  const serverMajor = Math.floor(plan.base.serverVersion / 10_000);
  const { folder } = await findPrograms({
    programs: into ? ['pg_restore'] : ['pg_restore', 'postgres', 'initdb', 'psql'],
    major: into ? toolMajor : Math.max(toolMajor, serverMajor),
    folder: options.restore.binaries,
    setting: 'restore.binaries',
    package: into ? 'postgresql-client' : 'postgresql',
  });
  const as = into ? undefined : await findUser(options.restore.runAs);
  return { plan, options, run, folder, ...(as ? { as } : {}) };
}

export function reach({ plan, options, run }: Restore): Promise<Destination> {
  return reachServer(destinationOf(plan, options), run.signal);
}
