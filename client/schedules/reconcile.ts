import type { Client, ScheduleOptions, ScheduleUpdateOptions } from '@temporalio/client';
import { ScheduleAlreadyRunning, ScheduleNotFoundError, ScheduleOverlapPolicy } from '@temporalio/client';
import type { Session } from '../connect.ts';
import type { ScheduleDefinition } from './definition.ts';
import { OWNER_MEMO, PAUSE_NOTE, PREFIX } from './definition.ts';
import type { Desired } from './desired.ts';
import { desiredSchedules } from './desired.ts';
import type { Step } from './difference.ts';
import { difference } from './difference.ts';
import { observedSchedule } from './observed.ts';

/** What has to be done so that the namespace has the Schedules of the configuration. Changes nothing. */
export async function planSchedules(session: Session, options: { adopt: boolean }): Promise<Step<Desired>[]> {
  const wanted = desiredSchedules(session.config);
  const ids = new Set(wanted.map(({ id }) => id));
  // The list lags behind (visibility); what is wanted is asked for by its id.
  for await (const { scheduleId } of session.client.schedule.list()) {
    if (scheduleId.startsWith(PREFIX)) ids.add(scheduleId);
  }
  const found = await Promise.all([...ids].map((id) => observe(session, id)));
  const observed = found.filter((schedule) => schedule !== undefined);
  return difference({ owner: session.config.name, wanted, observed, adopt: options.adopt });
}

async function observe(session: Session, id: string): Promise<ScheduleDefinition | undefined> {
  try {
    return observedSchedule(await session.ask(() => session.client.schedule.getHandle(id).describe()));
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return undefined;
    throw error;
  }
}

/** Does one step. A repeat after a lost reply is fine: what is there already is left, what is gone stays gone. */
export async function doStep(session: Session, step: Step<Desired>): Promise<void> {
  const { client } = session;
  switch (step.do) {
    case 'create':
      return session.ask(() => create(client, step.wanted));
    case 'update':
      return session.ask(() => update(client, step.wanted));
    case 'delete':
      return session.ask(() => remove(client, step.id));
    case 'keep':
      return undefined;
  }
}

async function create(client: Client, wanted: Desired): Promise<void> {
  const paused = wanted.pause === 'by configuration';
  const options: ScheduleOptions = {
    scheduleId: wanted.id,
    ...definitionOf(wanted),
    memo: { [OWNER_MEMO]: wanted.owner },
    state: paused ? { paused, note: PAUSE_NOTE } : {},
  };
  try {
    await client.schedule.create(options);
  } catch (error) {
    // Somebody applies at the same time; the other's is brought to ours.
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    await update(client, wanted);
  }
}

async function update(client: Client, wanted: Desired): Promise<void> {
  await client.schedule.getHandle(wanted.id).update((previous): ScheduleUpdateOptions => {
    const byPerson = previous.state.paused && previous.state.note !== PAUSE_NOTE;
    const paused = wanted.pause === 'by configuration';
    const note = paused ? { note: PAUSE_NOTE } : {};
    return { ...definitionOf(wanted), state: byPerson ? previous.state : { paused, ...note } };
  });
}

async function remove(client: Client, id: string): Promise<void> {
  try {
    await client.schedule.getHandle(id).delete();
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
  }
}

function definitionOf(wanted: Desired): Pick<ScheduleOptions, 'spec' | 'action' | 'policies'> {
  return {
    spec: wanted.spec,
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: wanted.catchupWindowMs },
    action: {
      type: 'startWorkflow',
      workflowType: wanted.workflow,
      // The server appends the time, so that every run has an id of its own.
      workflowId: wanted.id,
      taskQueue: wanted.taskQueue,
      args: [wanted.order],
      memo: { [OWNER_MEMO]: wanted.owner },
      staticSummary: `scheduled ${wanted.order?.workflow ?? 'run'} of ${subjectOf(wanted)}`,
    },
  };
}

/** Source, or service. */
function subjectOf({ order }: Desired): string {
  if (!order) return '';
  return 'service' in order.input ? order.input.service : order.input.source;
}
