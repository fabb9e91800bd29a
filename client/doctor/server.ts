import type { Config } from '../../activities/config/index.ts';
import type { DoctorCheck } from '../../workflows/model/results.ts';
import { TASK_QUEUE } from '../../workflows/model/names.ts';
import { formatDuration } from '../../workflows/model/units.ts';
import type { Session } from '../connect.ts';
import { connect } from '../connect.ts';
import { answerOf, forget, startInspection } from '../inspect.ts';
import type { StartedRun } from '../start.ts';
import type { Call } from '../verb.ts';
import { readState } from '../watch.ts';
import type { Finding } from './finding.ts';
import { findingOf, good } from './finding.ts';

/** TASK_QUEUE_TYPE_WORKFLOW of temporal.api.enums.v1. */
const WORKFLOW_QUEUE = 1;
/** A poll lasts a minute at most: who has not asked for longer is gone, though the server still lists it. */
const POLL_MS = 70_000;
const SKEW_WARN_MS = 2000;
const SKEW_FAIL_MS = 60_000;

/** Temporal, the clocks, and whatever only a worker can try: stores, clusters, keys where they are used. */
export async function lookAtServer(call: Call, config: Config): Promise<Finding[]> {
  const { address, namespace } = config.temporal;
  try {
    await using session = await connect(config, call.host);
    const askedMs = call.host.nowMs();
    const run = await startInspection(session, { what: 'doctor' });
    const startedMs = Date.parse((await readState(session, run)).startedAt);
    const findings = [good('temporal', `${address}, namespace ${namespace}`), clockFinding(startedMs - askedMs)];
    const polled = await workerFinding(session, startedMs);
    if (polled.state === 'ok') return [...findings, polled, ...(await workerFindings(session, run, call))];
    await forget(session, run, call);
    return [...findings, polled];
  } catch (error) {
    return [findingOf('temporal', error)];
  }
}

/** `serverMs` is the server's time: our clock may be wrong, which is another finding. */
async function workerFinding(session: Session, serverMs: number): Promise<Finding> {
  const { client } = session;
  const { pollers } = await session.ask(() =>
    client.workflowService.describeTaskQueue({
      namespace: client.options.namespace,
      taskQueue: { name: TASK_QUEUE },
      taskQueueType: WORKFLOW_QUEUE,
    }),
  );
  const alive = (pollers ?? []).filter(
    ({ lastAccessTime }) => serverMs - Number(lastAccessTime?.seconds ?? 0) * 1000 < POLL_MS,
  );
  if (alive.length > 0)
    return good('worker', `${alive.length} on queue ${TASK_QUEUE}: ${alive.map(nameOf).join(', ')}`);
  return {
    name: 'worker',
    state: 'fail',
    type: 'Unavailable',
    found: `none on queue ${TASK_QUEUE}`,
    hint: 'lifeboat worker',
  };
}

function nameOf({ identity }: { identity?: string | null }): string {
  return identity ?? 'unknown';
}

async function workerFindings(session: Session, run: StartedRun, call: Call): Promise<Finding[]> {
  try {
    const { checks } = await answerOf<'doctor'>(session, run, call);
    return checks.map(findingOfCheck);
  } catch (error) {
    return [findingOf('checks of the worker', error)];
  }
}

/** The server notes a start by its own clock; what the call takes stays far below what matters. */
function clockFinding(skewMs: number): Finding {
  const size = Math.abs(skewMs);
  const found = `${formatDuration(size)} ${skewMs < 0 ? 'behind' : 'ahead of'} this host`;
  if (size < SKEW_WARN_MS) return good('clock of temporal', found);
  const hint = 'synchronise both clocks (chrony, systemd-timesyncd): targets in time depend on them';
  return { name: 'clock of temporal', state: size < SKEW_FAIL_MS ? 'warn' : 'fail', found, hint };
}

function findingOfCheck({ scope, name, ok, found, hint }: DoctorCheck): Finding {
  const state = !ok ? 'fail' : hint === undefined ? 'ok' : 'warn';
  return { name: `${scope}: ${name}`, state, found, ...(hint === undefined ? {} : { hint }) };
}
