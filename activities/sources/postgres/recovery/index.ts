import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import type { Run } from '../../../io/run.ts';
import type { Recovery } from '../../source.ts';
import type { PostgresOptions } from '../options.ts';
import { fetchBase } from './fetch.ts';
import { discardRestore, finishRestore } from './finish.ts';
import type { Host } from './host.ts';
import { findHost } from './host.ts';
import { openRecovered } from './open.ts';
import { checkTarget, prepareTarget } from './prepare.ts';
import { proveRecovered } from './prove.ts';
import { replayWal } from './replay.ts';

export function createRecovery(_name: string, options: PostgresOptions, run: Run): Recovery {
  const host = (plan: RecoveryPlan): Promise<Host> => findHost(options, plan.base.serverVersion);
  return {
    scratch: options.restore.scratch,
    check: async (plan) => {
      await host(plan);
      await checkTarget(plan);
    },
    prepare: async (plan) => prepareTarget(plan, await host(plan)),
    fetch: async (plan, reader) => fetchBase({ plan, host: await host(plan), reader, run }),
    replay: async (plan, wal) => replayWal({ plan, host: await host(plan), options, wal, run }),
    open: async (plan, wal) => openRecovered({ plan, host: await host(plan), options, wal, run }),
    prove: (plan, replay) => proveRecovered({ plan, options, replay, run }),
    finish: async (plan) => finishRestore({ plan, host: await host(plan), options, run }),
    discard: (plan) => discardRestore(plan, run),
  };
}
