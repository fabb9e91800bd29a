import type { Command } from 'commander';
import type { RunProgress } from '../../workflows/messages.ts';
import { formatDuration } from '../../workflows/model/units.ts';
import type { Session } from '../connect.ts';
import type { FailureReport } from '../failure-report.ts';
import { failureLines, reportOf } from '../failure-report.ts';
import { Stop } from '../stop.ts';
import { pairLines, tableLines } from '../table.ts';
import { workerCommand } from '../told.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';
import type { RunState } from '../watch.ts';

export function define(command: Command): Handler {
  command
    .argument('[run]', 'workflow id, like backup/shop, or a source; without it: the runs of late')
    .option('--follow', 'stay with the run until it ends; its result decides the exit code')
    .option('--limit <number>', 'how many runs to list', '20');
  addExamples(command, [
    ['lifeboat status', 'what runs and what ran'],
    ['lifeboat status shop', 'how long a restore of it will take, against its objective, and what runs for it'],
    ['lifeboat status restore/shop --follow', 'come back to a run after Ctrl-C'],
  ]);
  return status;
}

async function status(call: Call): Promise<Outcome> {
  const [workflowId] = call.args;
  const limit = limitOf(String(call.options['limit']));
  if (workflowId === undefined && call.options['follow'] === true) {
    throw new Stop('Usage', 'option --follow needs a run', {
      hint: 'lifeboat status, then lifeboat status RUN --follow',
    });
  }
  const { openSession } = await import('../connect.ts');
  await using session = await openSession(call);
  if (workflowId !== undefined && Object.hasOwn(session.config.sources, workflowId)) {
    const { showSource } = await import('../source-status.ts');
    return await showSource(session, { source: workflowId, limit }, call);
  }
  if (workflowId === undefined) return await list(session, limit);
  return call.options['follow'] === true
    ? await followRun(session, workflowId, call)
    : await showRun(session, workflowId);
}

function limitOf(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new Stop('Usage', `option --limit is a number from 1 to 9999, not "${text}"`, {
    hint: 'lifeboat status --help',
  });
}

async function list(session: Session, limit: number): Promise<Outcome> {
  const { listRuns } = await import('../runs.ts');
  const runs = await listRuns(session, limit);
  const rows = runs.map((run) => [run.workflowId, run.status.toLowerCase(), run.startedAt, run.closedAt ?? '']);
  return {
    data: { runs },
    lines: runs.length === 0 ? ['no runs yet'] : tableLines(['RUN', 'STATUS', 'STARTED', 'ENDED'], rows),
  };
}

async function followRun(session: Session, workflowId: string, call: Call): Promise<Outcome> {
  const [{ follow }, { findRun }] = await Promise.all([import('../follow.ts'), import('../runs.ts')]);
  const run = await findRun(session, workflowId);
  const result = await follow(session, { workflowId, runId: run.runId }, call);
  return { data: { workflowId, runId: run.runId, result }, lines: [`${workflowId} is done`] };
}

async function showRun(session: Session, workflowId: string): Promise<Outcome> {
  const [{ findRun }, { readProgress }] = await Promise.all([import('../runs.ts'), import('../watch.ts')]);
  const run = await findRun(session, workflowId);
  const progress =
    run.waitsForQueue !== undefined ? undefined : await readProgress(session, { workflowId, runId: run.runId });
  const url = session.runUrl(workflowId, run.runId);
  const failed = await failureOf(session, { workflowId, run });
  return {
    data: {
      ...{ workflowId, run },
      ...(progress ? { progress } : {}),
      ...(failed ? { failure: failed } : {}),
      ...(url ? { url } : {}),
    },
    lines: [...runLines(workflowId, run, url), ...progressLines(progress), ...(failed ? failureLines(failed) : [])],
  };
}

/** Why a run did not end well; undefined while it goes on and when it did. */
async function failureOf(
  session: Session,
  of: { workflowId: string; run: RunState },
): Promise<FailureReport | undefined> {
  const { status, runId } = of.run;
  if (status === 'RUNNING' || status === 'COMPLETED' || status === 'CONTINUED_AS_NEW') return undefined;
  const { runFailure } = await import('../temporal-failure.ts');
  const handle = session.client.workflow.getHandle(of.workflowId, runId, { followRuns: false });
  try {
    await session.ask(() => handle.result());
    return undefined;
  } catch (error) {
    return reportOf(runFailure(error, of.workflowId));
  }
}

function runLines(workflowId: string, run: RunState, url: string | undefined): string[] {
  return pairLines([
    ['run', workflowId],
    ['status', run.status.toLowerCase()],
    ['waits for', run.waitsForQueue && `a worker of queue ${run.waitsForQueue} (${workerCommand(run.waitsForQueue)})`],
    ['started', run.startedAt],
    ['ended', run.closedAt],
    ...run.steps.map((step): [string, string] => [
      'step',
      `${step.activity}, attempt ${step.attempt}${step.lastFailure ? `: ${step.lastFailure}` : ''}`,
    ]),
    ['page', url],
  ]);
}

function progressLines(progress: RunProgress | undefined): string[] {
  if (!progress) return [];
  const { rto, attention, timeline } = progress;
  const clock = rto && `${formatDuration(rto.elapsedMs)} of ${formatDuration(rto.objectiveMs)}`;
  return [
    ...pairLines([
      ['now', progress.step],
      ['RTO', clock],
      ['attention', attention],
    ]),
    ...timeline.map((entry) => `  ${entry.at}  ${entry.what}`),
  ];
}
