import type { Command } from 'commander';
import type { FailoverOrder, FailoverPreview, FailoverResult } from '../../workflows/model/failover.ts';
import type { FailoverDrillOrder, FailoverDrillResult } from '../../workflows/model/failover-drill.ts';
import { workflowId } from '../../workflows/model/names.ts';
import { addIdentityOption } from '../identity.ts';
import { addRunOptions, given } from '../run-options.ts';
import { Stop } from '../stop.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command
    .argument('<service>', 'a service of lifeboat.yml with a cluster')
    .option('--to <site>', 'site, or name of the node, that becomes the primary; of --drill default: the standby')
    .option('--planned', 'both servers live: they change places, and nothing is lost')
    .option('--unplanned', 'the primary is gone: what is lost is quoted, it is fenced, somebody decides')
    .option('--drill', 'promote and check a clone of the standby, cut off from production, and remove it')
    .option('--dry-run', 'only check, and show what would be done')
    .option('--since <time>', 'unplanned: when the primary was last seen to serve (default: now)')
    .option('--break-glass <reason>', 'promote although the rules say no, when those agree who have to');
  addIdentityOption(command);
  addRunOptions(command);
  addExamples(command, [
    ['lifeboat failover web --to west --planned --dry-run', 'every check, and the plan with its point of no return'],
    ['lifeboat failover web --to west --planned', 'switch over, with a proof that nothing was lost'],
    ['lifeboat failover web --to west --unplanned', 'the primary is gone'],
    ['lifeboat failover web --drill', 'how long the standby would take, on a copy of it; nobody is failed over'],
    ['lifeboat approve failover/web', 'what it waits for, and how to approve it'],
  ]);
  return failover;
}

async function failover(call: Call): Promise<Outcome> {
  const [{ runVerb }, { knownService }, { failoverLines, previewLines }, { exitCodeOf }] = await Promise.all([
    import('../run.ts'),
    import('../sources.ts'),
    import('../failover-lines.ts'),
    import('../exit-codes.ts'),
  ]);
  const [service = ''] = call.args;
  if (call.options['drill'] === true) return drill(service, call);
  const order = await orderOf(service, call);
  return runVerb<FailoverResult | FailoverPreview>(call, {
    request: ({ config }) => {
      const id = workflowId.failover(knownService(config, service));
      return {
        ...{ workflow: 'failover', order, workflowId: order.dryRun ? `${id}/preview/${order.mode}` : id },
        summary: `${order.mode} failover of ${service} to ${order.to}`,
      };
    },
    answer: (result) => {
      if (!('preview' in result)) return { data: { result }, lines: failoverLines(result) };
      const exitCode = result.ok ? 0 : exitCodeOf('Precondition');
      return { data: { preview: result }, lines: previewLines(result), exitCode };
    },
  });
}

/** Of what a failover is told, a drill takes where to. */
const NOT_DRILLED = ['planned', 'unplanned', 'dryRun', 'since', 'breakGlass'] as const;

async function drill(service: string, call: Call): Promise<Outcome> {
  const [{ runVerb }, { knownService }, { failoverDrillLines }, { identityOf }] = await Promise.all([
    import('../run.ts'),
    import('../sources.ts'),
    import('../failover-drill-lines.ts'),
    import('../identity.ts'),
  ]);
  const other = NOT_DRILLED.find((name) => call.options[name] !== undefined);
  if (other !== undefined) {
    const flag = other.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new Stop('Usage', `either --drill or --${flag}`, { hint: `lifeboat failover ${service} --drill` });
  }
  return runVerb<FailoverDrillResult>(call, {
    request: ({ config }) => ({
      workflow: 'failoverDrill',
      workflowId: workflowId.failoverDrill(knownService(config, service)),
      order: {
        service,
        by: identityOf(call.options),
        ...given({ to: call.options['to'] as string | undefined }),
      } satisfies FailoverDrillOrder,
      summary: `failover drill of ${service}`,
    }),
    answer: (result) => ({ data: { result }, lines: failoverDrillLines(result) }),
  });
}

async function orderOf(service: string, { options }: Call): Promise<FailoverOrder> {
  const { identityOf } = await import('../identity.ts');
  const [planned, unplanned] = [options['planned'] === true, options['unplanned'] === true];
  if (planned === unplanned) {
    throw new Stop(
      'Usage',
      planned ? 'either --planned or --unplanned' : 'option --planned or --unplanned is missing',
      {
        hint: `lifeboat failover ${service} --to SITE --planned --dry-run`,
      },
    );
  }
  if (options['to'] === undefined) {
    throw new Stop('Usage', "option '--to <site>' is missing", { hint: 'lifeboat failover --help' });
  }
  const [breakGlass, since] = [options['breakGlass'], options['since']] as (string | undefined)[];
  if (breakGlass !== undefined && (planned || breakGlass.trim() === '')) {
    throw new Stop('Usage', planned ? '--break-glass goes with --unplanned' : '--break-glass needs a reason', {
      hint: 'lifeboat failover --help',
    });
  }
  return {
    ...{ service, to: options['to'] as string, mode: planned ? 'planned' : 'unplanned', by: identityOf(options) },
    ...given({ dryRun: options['dryRun'] === true ? (true as const) : undefined, breakGlass, since }),
  };
}
