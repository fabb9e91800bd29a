import type { RunProgress } from '../workflows/messages.ts';
import { failure, findFailure, isFailure } from '../workflows/model/failure.ts';
import { TASK_QUEUE } from '../workflows/model/names.ts';
import type { Session } from './connect.ts';
import type { Host } from './environment.ts';
import type { Output } from './output.ts';
import { Stop } from './stop.ts';
import { noSuchRun, runFailure } from './temporal-failure.ts';
import type { Call } from './verb.ts';
import type { RunState } from './watch.ts';
import { readProgress, readState, viewOf } from './watch.ts';

/** Pauses between two looks: short runs answer at once, long ones are not asked too often. */
const POLL_MS = [30, 60, 120, 250, 500];
/** A worker that is there takes a task within milliseconds. */
const NO_WORKER_AFTER_MS = 3000;
/** A server that is restarted comes back sooner than this. */
const SERVER_AWAY_MS = 300_000;

/** A question is not worth waiting for a worker. */
const QUESTION_UNTAKEN_MS = 15_000;

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
  const told = new Told(out, session, first.question === true);
  const away = new Away(out, host);
  let run = first;
  for (let looks = 0; ; looks++) {
    const state = await away.unlessAway(() => readState(session, run));
    if (state?.status === 'CONTINUED_AS_NEW') {
      run = { workflowId: run.workflowId, runId: (await readState(session, { workflowId: run.workflowId })).runId };
    } else if (state && state.status !== 'RUNNING') {
      return run;
    } else if (state) {
      const progress = state.waitsForWorker ? undefined : await readProgress(session, run);
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
      if (this.#sinceMs === undefined) this.#out.remark(`${findFailure(error)?.message}; the run is safe, waiting`);
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

/** Remembers what was said, so that nothing is said twice. */
class Told {
  readonly #out: Output;
  readonly #session: Session;
  readonly #question: boolean;
  #entries = 0;
  #attention: string | undefined;
  #idleSinceMs: number | undefined;
  #saidIdle = false;

  constructor(out: Output, session: Session, question: boolean) {
    this.#out = out;
    this.#session = session;
    this.#question = question;
  }

  tell(now: { workflowId: string; state: RunState; progress: RunProgress | undefined; atMs: number }): void {
    this.#tellWorker(now.state, now.atMs);
    if (now.progress) this.#tellProgress(now.progress);
    if (now.state.waitsForWorker) return;
    const view = viewOf(now.workflowId, now.state, now.progress);
    // The run's own timeline names the steps already.
    const isToldAlready = now.progress !== undefined && view.doneBytes === undefined && view.note === undefined;
    this.#out.progress(view, { isBrief: this.#question || isToldAlready });
  }

  #tellProgress({ timeline, attention }: RunProgress): void {
    if (this.#question) return;
    for (const entry of timeline.slice(this.#entries)) this.#out.remark(`${entry.at.slice(11, 19)}  ${entry.what}`);
    this.#entries = Math.max(this.#entries, timeline.length);
    if (attention !== undefined && attention !== this.#attention) this.#out.remark(`attention: ${attention}`);
    this.#attention = attention;
  }

  #tellWorker({ waitsForWorker }: RunState, atMs: number): void {
    if (!waitsForWorker) {
      if (this.#saidIdle) this.#out.remark('a worker took it');
      this.#idleSinceMs = undefined;
      this.#saidIdle = false;
      return;
    }
    this.#idleSinceMs ??= atMs;
    const { address } = this.#session.config.temporal;
    if (this.#question && atMs - this.#idleSinceMs >= QUESTION_UNTAKEN_MS) throw untaken(address);
    if (this.#saidIdle || atMs - this.#idleSinceMs < NO_WORKER_AFTER_MS) return;
    this.#saidIdle = true;
    this.#out.remark(`no worker takes tasks from queue ${TASK_QUEUE} at ${address}: the run waits`);
    this.#out.remark('  next: lifeboat worker');
  }
}

function untaken(address: string): Error {
  return failure('Unavailable', `no worker takes tasks from queue ${TASK_QUEUE}`, {
    place: `queue ${TASK_QUEUE} at ${address}`,
    expected: 'a worker',
    found: 'none',
    hint: 'lifeboat worker',
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
