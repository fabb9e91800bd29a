import { CancellationScope, isCancellation, sleep } from '@temporalio/workflow';
import { formatDuration } from '../model/units.ts';
import type { Journal } from './journal.ts';
import type { Notices } from './notices.ts';

const WARN_SHARE = 0.75;

export interface RtoClock {
  /** No more warnings. A repeat does nothing. */
  stop(): void;
}

/** Warns at 75 % of the objective and escalates at 100 %. It never ends the recovery that it measures. */
export function startRtoClock(journal: Journal, notices: Notices): RtoClock {
  const { rto } = journal.progress;
  if (!rto) return { stop: () => undefined };
  const { objectiveMs } = rto;
  const scope = new CancellationScope();
  const running = scope.run(async () => {
    await until(journal, objectiveMs * WARN_SHARE, 'RTO clock: 75 %');
    rto.warned = true;
    tell({ journal, notices, severity: 'warning', what: `75 % of the RTO of ${formatDuration(objectiveMs)} is used` });
    await until(journal, objectiveMs, 'RTO clock: 100 %');
    rto.escalated = true;
    tell({ journal, notices, severity: 'critical', what: `the RTO of ${formatDuration(objectiveMs)} is missed` });
  });
  running.catch((error: unknown) => {
    if (!isCancellation(error)) journal.note(`RTO clock stopped: ${String(error)}`);
  });
  return { stop: () => scope.cancel() };
}

async function until(journal: Journal, elapsedMs: number, summary: string): Promise<void> {
  const left = elapsedMs - journal.elapsedMs();
  if (left > 0) await sleep(left, { summary });
}

interface Telling {
  journal: Journal;
  notices: Notices;
  severity: 'warning' | 'critical';
  what: string;
}

function tell({ journal, notices, severity, what }: Telling): void {
  journal.note(what);
  const { source, workflow, step } = journal.progress;
  notices.send({ severity, title: `${workflow} of ${source}: ${what}`, body: `It is at: ${step}. It goes on.` });
}
