import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { DeterminismViolationError } from '@temporalio/workflow';
import { Runtime, Worker } from '@temporalio/worker';
import { ACTIVITY_NAMES } from '../../activities/index.ts';
import * as workflows from '../../workflows/index.ts';
import { testBundle } from '../support/workflow-bundle.ts';

interface HistoryEvent {
  eventType: string;
  activityTaskScheduledEventAttributes?: { activityType: { name: string } };
  workflowExecutionStartedEventAttributes?: { workflowId?: string };
}

interface Recorded {
  name: string;
  workflow: string;
  history: { events: HistoryEvent[] };
}

const quiet = (): void => undefined;
const logger = { log: quiet, trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet };
Runtime.install({ logger: logger as never, telemetryOptions: { logging: { filter: 'off' } } });

function histories(): Recorded[] {
  const folder = new URL('histories/', import.meta.url);
  return readdirSync(folder).map((file) => ({
    name: file,
    ...(JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as Omit<Recorded, 'name'>),
  }));
}

function activitiesIn({ history }: Recorded): string[] {
  return history.events.flatMap((event) => event.activityTaskScheduledEventAttributes?.activityType.name ?? []);
}

async function replay({ workflow, history }: Pick<Recorded, 'workflow' | 'history'>): Promise<void> {
  // Ids of children are made of it.
  const { workflowId = `${workflow}/recorded` } = history.events[0]?.workflowExecutionStartedEventAttributes ?? {};
  await Worker.runReplayHistory({ workflowBundle: await testBundle() }, history, workflowId);
}

test('replay: every workflow has a recorded history', () => {
  const recorded = new Set(histories().map(({ workflow }) => workflow));
  assert.deepEqual([...recorded].sort(), Object.keys(workflows).sort());
});

test('replay: every activity is scheduled in one of them, and each that is scheduled exists', () => {
  const used = new Set(histories().flatMap(activitiesIn));
  assert.deepEqual([...used].sort(), ACTIVITY_NAMES.toSorted());
});

test('replay: all recorded histories', async (t) => {
  for (const recorded of histories()) await t.test(recorded.name, () => replay(recorded));
});

test('replay: a history of other steps is refused', async () => {
  for (const { name, workflow, history } of histories()) {
    const doctored = JSON.parse(JSON.stringify(history)) as Recorded['history'];
    const scheduled = doctored.events.find((event) => event.activityTaskScheduledEventAttributes);
    if (!scheduled?.activityTaskScheduledEventAttributes) continue;
    scheduled.activityTaskScheduledEventAttributes.activityType.name = 'dropEverything';
    await assert.rejects(replay({ workflow, history: doctored }), DeterminismViolationError, name);
  }
});
