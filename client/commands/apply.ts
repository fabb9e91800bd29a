import type { Command } from 'commander';
import type { Desired } from '../schedules/desired.ts';
import type { Step } from '../schedules/difference.ts';
import { Stop } from '../stop.ts';
import type { StreamStep } from '../streams.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command
    .option('--dry-run', 'show the difference and change nothing')
    .option('--adopt', 'take over schedules of the same name that another configuration made');
  addExamples(command, [
    ['lifeboat apply --dry-run', 'what would change'],
    [
      'lifeboat apply',
      'create, update, delete, start WAL streams and watches, end streams that are too many; a paused schedule stays paused',
    ],
  ]);
  return apply;
}

async function apply(call: Call): Promise<Outcome> {
  const [{ openSession }, { planSchedules, doStep }, { planStreams, startStream, endStream }] = await Promise.all([
    import('../connect.ts'),
    import('../schedules/reconcile.ts'),
    import('../streams.ts'),
  ]);
  await using session = await openSession(call);
  const steps = await planSchedules(session, { adopt: call.options['adopt'] === true });
  const streams = await planStreams(session);
  const dryRun = call.options['dryRun'] === true;
  if (!dryRun) {
    await doAll(steps, call, (step) => doStep(session, step));
    for (const stream of streams) {
      if (stream.do === 'start') await startStream(session, stream);
      if (stream.do === 'end') await endStream(session, stream);
    }
  }
  const schedules = steps.map((step) => ({
    do: step.do,
    id: step.id,
    ...('changes' in step && { changes: step.changes }),
  }));
  const lines = [...steps.flatMap(stepLines), ...streams.map(streamLine), summary(steps, dryRun)];
  return { data: { dryRun, schedules, streams: streams.map(({ do: what, id }) => ({ do: what, id })) }, lines };
}

/** A repeat does what is left, so Ctrl-C may come at any time. */
async function doAll(steps: readonly Step<Desired>[], { host }: Call, act: Act): Promise<void> {
  for (const [done, step] of steps.entries()) {
    await act(step).catch((error: unknown) => {
      if (!host.interrupted.aborted) throw error;
      throw new Stop('Interrupted', `interrupted after ${done} of ${steps.length} schedules`, {
        hint: 'lifeboat apply',
      });
    });
  }
}

type Act = (step: Step<Desired>) => Promise<void>;

const SIGNS: Record<Step['do'], string> = { create: '+', update: '~', delete: '-', keep: '=' };

function stepLines(step: Step): string[] {
  const head = `${SIGNS[step.do]} ${step.id}${step.do === 'create' ? `  ${step.wanted.when.text}` : ''}`;
  const changes = step.do === 'update' ? step.changes : [];
  return [head, ...changes.map(({ field, from, to }) => `    ${field}: ${from} -> ${to}`)];
}

function streamLine(stream: StreamStep): string {
  if (stream.do === 'end') return `- ${stream.id}  ends, and drops its slot, as its worker knows of it`;
  const does = stream.workflow === 'wal' ? 'streams the WAL' : 'watches the servers';
  return stream.do === 'start' ? `+ ${stream.id}  ${does} until it is cancelled` : `= ${stream.id}`;
}

function summary(steps: readonly Step[], dryRun: boolean): string {
  const count = (what: Step['do']): number => steps.filter((step) => step.do === what).length;
  const verb = dryRun ? 'would be' : 'were';
  return `${count('create')} ${verb} created, ${count('update')} updated, ${count('delete')} deleted, ${count('keep')} are as they should be`;
}
