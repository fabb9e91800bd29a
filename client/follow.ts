import { isFailure } from '../workflows/model/failure.ts';
import type { Session } from './connect.ts';
import type { Host } from './environment.ts';
import { reportOf } from './failure-report.ts';
import type { Output } from './output.ts';
import { Stop } from './stop.ts';
import { noSuchRun, runFailure } from './temporal-failure.ts';
import type { Call } from './verb.ts';
import { Told } from './told.ts';
import { readProgress, readState } from './watch.ts';

/** Pauses between two looks: short runs answer at once, long ones are not asked too often. */
const POLL_MS = [30, 60, 120, 250, 500];
/** A server that is restarted comes back sooner than this. */
const SERVER_AWAY_MS = 300_000;

export interface Followed {
  workflowId: string;
  runId: string;
  /** Nobody waits for its answer but us: it fails when no worker takes it. */
  question?: boolean;
}

/**
 * Shows how far a run is until it has ended, and returns its result or throws its failure. Ctrl-C detaches: the run goes
 * on, and the message says how to come back. A server that is away for a while is waited for.
 */
export async function follow(session: Session, run: Followed, call: Call): Promise<unknown> {
  try {
    const last = await watchToEnd(session, run, call);
    const handle = session.client.workflow.getHandle(last.workflowId, last.runId);
    return await session.ask(() => handle.result());
  } catch (error) {
    if (call.host.interrupted.aborted) throw detached(run.workflowId);
    throw noSuchRun(runFailure(error, run.workflowId), run.workflowId);
  }
}

/** Returns the run that ended: a long one goes on under new run ids. */
async function watchToEnd(session: Session, first: Followed, { host, out }: Call): Promise<Followed> {
  const told = new Told(out, { address: session.config.temporal.address, isQuestion: first.question === true });
  const away = new Away(out, host);
  let run = first;
  for (let looks = 0; ; looks++) {
    const state = await away.unlessAway(() => readState(session, run));
    if (state?.status === 'CONTINUED_AS_NEW') {
      const { workflowId } = run;
      const next = await away.unlessAway(() => readState(session, { workflowId }));
      if (next) run = { workflowId, runId: next.runId };
    } else if (state && state.status !== 'RUNNING') {
      return run;
    } else if (state) {
      const progress = state.waitsForQueue !== undefined ? undefined : await readProgress(session, run);
      told.tell({ workflowId: run.workflowId, state, progress, atMs: host.nowMs() });
    }
    await pause(POLL_MS[Math.min(looks, POLL_MS.length - 1)] ?? 500, host.interrupted);
  }
}

/** Bears with a server that does not answer, and says so once. */
class Away {
  readonly #out: Output;
  readonly #host: Host;
  #sinceMs: number | undefined;

  constructor(out: Output, host: Host) {
    this.#out = out;
    this.#host = host;
  }

  /** undefined while the server is away. */
  async unlessAway<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      const result = await work();
      if (this.#sinceMs !== undefined) this.#out.remark('temporal answers again');
      this.#sinceMs = undefined;
      return result;
    } catch (error) {
      const atMs = this.#host.nowMs();
      if (!isFailure(error, 'Unavailable') || atMs - (this.#sinceMs ?? atMs) > SERVER_AWAY_MS) throw error;
      if (this.#sinceMs === undefined) this.#out.remark(`${reportOf(error).message}; the run is safe, waiting`);
      this.#sinceMs ??= atMs;
      return undefined;
    }
  }
}

function detached(workflowId: string): Stop {
  return new Stop('Interrupted', `detached; run ${workflowId} goes on`, {
    hint: `lifeboat status ${workflowId} --follow, or lifeboat cancel ${workflowId}`,
    data: { workflowId },
  });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
