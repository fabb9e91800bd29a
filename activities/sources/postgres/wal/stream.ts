import type { Lsn } from '../../../../workflows/model/lsn.ts';
import { formatLsn } from '../../../../workflows/model/lsn.ts';
import { startReplication } from '../../../io/postgres/stream-wal.ts';
import { orAborted } from '../../../io/or-aborted.ts';
import type { Run } from '../../../io/run.ts';
import { settledWithin } from '../../../io/settled-within.ts';
import { storedBefore } from './before.ts';
import type { Streaming } from './receiver.ts';
import { Receiver } from './receiver.ts';
import { connectWalsender } from './walsender.ts';

const STATUS_MS = 1_000;
const SILENCE_MS = 60_000;
/** Calls of a store have time limits of their own; what is longer on its way than this is given up. */
const UPLOADS_END_MS = 90_000;
/** The same, when somebody waits for us to stop. */
const UPLOADS_STOP_MS = 5_000;

export interface StreamedTo {
  durableLsn: Lsn;
  nextTimeline?: number;
  switchLsn?: Lsn;
}

/**
 * Streams one timeline until it ends, the connection breaks or the signal fires. What was on its way to the store has
 * ended then, so that the next stream neither works beside it nor holds a spool of its own beside its bytes.
 */
export async function streamTimeline(at: Omit<Streaming, 'onDurable' | 'before'>): Promise<StreamedTo> {
  const { ship, resume, run } = at;
  const before = await storedBefore(at, at.identity.systemId);
  await using connection = await connectWalsender(at, at.identity.systemId);
  const over = new AbortController();
  const signal = AbortSignal.any([run.signal, over.signal]);
  // Commits may wait for it.
  const onDurable = (): void => wire.status();
  const receiver = new Receiver({ ...at, before, run: { ...run, signal }, onDurable });
  const wire = startReplication(connection, {
    ...{ slot: ship.slot, startLsn: resume.startLsn, timeline: resume.timeline },
    ...{ statusEveryMs: STATUS_MS, silenceMs: SILENCE_MS },
    flushed: () => receiver.flushed,
    onWal: (start, bytes, sentMicros) => receiver.take(start, bytes, sentMicros),
  });
  const timer = setInterval(() => receiver.tick(), ship.shipEveryMs);
  const watch = setInterval(() => receiver.report(), STATUS_MS);
  try {
    const end = await Promise.race([wire.ended, receiver.broken]);
    await receiver.finish();
    return { durableLsn: formatLsn(receiver.durable), ...end };
  } finally {
    clearInterval(timer);
    clearInterval(watch);
    wire.ended.catch(() => undefined);
    over.abort(new Error('the stream is over'));
    await connection.close();
    await endedIn(run, receiver.ended());
  }
}

async function endedIn(run: Run, work: Promise<void>): Promise<void> {
  let isOver = false;
  const ended = work.finally(() => (isOver = true));
  if (!run.signal.aborted) run.progress({ phase: 'waiting', note: 'the stream ended; uploads on their way end first' });
  const patient = (): Promise<void> => settledWithin(run.clock, UPLOADS_END_MS, ended);
  await orAborted(run.signal, patient).catch(() => settledWithin(run.clock, UPLOADS_STOP_MS, ended));
  if (!isOver) run.log.warn('uploads of a stream that is over have not ended; they are left behind');
}
