import { CancellationScope, isCancellation, sleep } from '@temporalio/workflow';
import type { Notice } from '../model/notice.ts';
import { formatDuration } from '../model/units.ts';
import type { Journal } from './journal.ts';
import type { Notices } from './notices.ts';

const WARN_SHARE = 0.75;

/** The warning and the alarm are one thing for those who are told. */
const RTO = 'rto';

export interface RtoClock {
  /** No more warnings. A repeat does nothing. */
  stop(): void;
  /** What was to be recovered is: no more warnings, and what people were told of the objective is over. A repeat does nothing. */
  reached(): void;
}

/** Of what is a part of something that has a clock of its own, or none. */
export const NO_CLOCK: RtoClock = { stop: () => undefined, reached: () => undefined };

/** Warns at 75 % of the objective and escalates at 100 %. It never ends the recovery that it measures. */
export function startRtoClock(journal: Journal, notices: Notices): RtoClock {
  const { rto } = journal.progress;
  if (!rto) return NO_CLOCK;
  const { objectiveMs } = rto;
  const scope = new CancellationScope();
  const running = scope.run(async () => {
    await until(journal, objectiveMs * WARN_SHARE, 'RTO clock: 75 %');
    rto.warned = true;
    // Kept back for as long as other warnings it would come behind the alarm.
    const warning = { severity: 'warning', urgent: true } as const;
    tell({ journal, notices, ...warning, what: `75 % of the RTO of ${formatDuration(objectiveMs)} is used` });
    await until(journal, objectiveMs, 'RTO clock: 100 %');
    rto.escalated = true;
    tell({ journal, notices, severity: 'critical', what: `the RTO of ${formatDuration(objectiveMs)} is missed` });
  });
  running.catch((error: unknown) => {
    if (!isCancellation(error)) journal.note(`RTO clock stopped: ${String(error)}`);
  });
  let isReached = false;
  return {
    stop: () => scope.cancel(),
    reached: () => {
      scope.cancel();
      if (rto.warned && !isReached) tellReached(journal, notices);
      isReached = true;
    },
  };
}

async function until(journal: Journal, elapsedMs: number, summary: string): Promise<void> {
  const left = elapsedMs - journal.elapsedMs();
  if (left > 0) await sleep(left, { summary });
}

interface Telling extends Pick<Notice, 'severity' | 'urgent'> {
  journal: Journal;
  notices: Notices;
  what: string;
}

function tell({ journal, notices, what, ...notice }: Telling): void {
  journal.note(what);
  const { source, workflow, step } = journal.progress;
  notices.send({
    ...notice,
    title: `${workflow} of ${source}: ${what}`,
    body: `It is at: ${step}. It goes on.`,
    about: RTO,
  });
}

function tellReached(journal: Journal, notices: Notices): void {
  const { source, workflow, rto } = journal.progress;
  const [took, objective] = [formatDuration(journal.elapsedMs()), formatDuration(rto?.objectiveMs ?? 0)];
  notices.over(RTO, {
    title: `${workflow} of ${source}: recovered after ${took}`,
    body: `The RTO of ${objective} is ${rto?.escalated ? 'missed' : 'kept'}.`,
  });
}
