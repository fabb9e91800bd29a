import { failure } from '../../../../workflows/model/failure.ts';
import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import { exclusively } from '../../../io/exclusive.ts';
import type { Run } from '../../../io/run.ts';
import type { Recovery } from '../../source.ts';
import type { PostgresOptions } from '../options.ts';
import { fetchBase } from './fetch.ts';
import { bringOver, checkBringing, dropBrought } from './bring-over.ts';
import { discardRestore, finishRestore } from './finish.ts';
import { sayingFull } from './full-disk.ts';
import type { Host } from '../../../io/postgres/host.ts';
import { findHost } from '../../../io/postgres/host.ts';
import { lookAt } from './look.ts';
import { openRecovered } from './open.ts';
import { checkTarget, prepareTarget } from './prepare.ts';
import { proveRecovered } from './prove.ts';
import { replayWal } from './replay.ts';
import { checkFetching } from './standby/fetch-command.ts';
import { followWal, handOver } from './standby/follow.ts';
import { chooseUpstream } from './standby/upstream.ts';

export function createRecovery(_name: string, options: PostgresOptions, run: Run): Recovery {
  const host = (plan: RecoveryPlan): Promise<Host> => findHost(options.restore, plan.base.serverVersion);
  // An attempt that is late would write over what the server of its successor has changed.
  const alone = <T>(plan: RecoveryPlan, step: () => Promise<T>): Promise<T> =>
    exclusively(plan.into, run, () => sayingFull(plan.into, step));
  return {
    scratch: options.restore.scratch,
    upstream: (wish) => chooseUpstream(options, wish, run),
    check: async (plan) => {
      const found = await host(plan);
      await checkTarget(plan);
      await checkBringing(plan, options, run);
      if (plan.standby) await checkFetching(plan, { host: found, run });
    },
    prepare: (plan) => alone(plan, async () => prepareTarget(plan, await host(plan))),
    fetch: (plan, reader) => alone(plan, async () => fetchBase({ plan, host: await host(plan), reader, run })),
    replay: (plan, wal) =>
      alone(plan, async () => {
        const use = { plan, host: await host(plan), options, wal, run };
        return plan.standby ? followWal(use) : replayWal(use);
      }),
    open: (plan, wal) =>
      alone(plan, async () => {
        const use = { plan, host: await host(plan), options, wal, run };
        return plan.standby ? handOver(use) : openRecovered(use);
      }),
    prove: (plan, replay) => {
      if (replay) return proveRecovered({ plan, options, replay, run });
      throw failure('Bug', `nothing was replayed into ${plan.into}`, { place: plan.into });
    },
    look: (plan) => lookAt(plan),
    finish: (plan) => alone(plan, async () => finishRestore({ plan, host: await host(plan), options, run })),
    bring: (plan) => alone(plan, async () => bringOver({ plan, host: await host(plan), options, run })),
    discard: (plan) => alone(plan, () => discardRestore(plan, run)),
    dropBrought: (plan) => alone(plan, () => dropBrought(plan, options, run)),
  };
}
