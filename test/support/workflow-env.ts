import { Context } from '@temporalio/activity';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { isGrpcServiceError } from '@temporalio/client';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import type { WorkflowBundle } from '@temporalio/worker';
import { Runtime, Worker } from '@temporalio/worker';
import type { Activities } from '../../activities/index.ts';
import { ACTIVITY_NAMES } from '../../activities/index.ts';
import { ensureTools } from '../../workers/dev/setup/index.ts';
import { ensureSearchAttributes } from '../../workers/search-attributes.ts';
import type { RunProgress } from '../../workflows/messages.ts';
import { progressQuery } from '../../workflows/messages.ts';
import { hostQueue, TASK_QUEUE } from '../../workflows/model/names.ts';
import { answers } from './workflow-answers.ts';
import { testBundle } from './workflow-bundle.ts';

export type ActivityName = keyof Activities;

/** What activities do in a test: one function each; those that are not given answer with something good. */
export type Script = { [Name in ActivityName]?: (...given: Parameters<Activities[Name]>) => unknown };

/** A run about a source of its own. */
export interface TestRun {
  source: string;
  handle: WorkflowHandle;
  /** Activities in the order they were started, one entry for each attempt. */
  calls: { name: ActivityName; argument: unknown }[];
  names(): ActivityName[];
  /** Arguments of all calls of one activity. */
  of<Name extends ActivityName>(name: Name): Parameters<Activities[Name]>[0][];
  progress(): Promise<RunProgress>;
  /** What the Temporal UI shows as current details. */
  details(): Promise<string>;
}

export interface StartOptions {
  script?: Script;
  /** Called before each activity: index of the call, from 0. */
  before?: (index: number, name: ActivityName) => unknown;
  /** Beside `source`. */
  input?: Record<string, unknown>;
  /** Instead of {"source": ...}. */
  order?: (source: string) => unknown;
  /** Default: <workflow>/<source>. */
  workflowId?: string;
  /** Its timers take as long as they say: the test acts while it waits for one. */
  isInRealTime?: boolean;
  /** As a Schedule does it: the run begins so much later. */
  startDelayMs?: number;
  /** Its WAL streams already: a child that works would keep time from leaping. */
  isStreaming?: boolean;
}

export interface WorkflowWorld {
  client: Client;
  env: TestWorkflowEnvironment;
  /** Starts a workflow whose time passes by leaps: it never waits for a timer or a retry. */
  start(workflow: string, options?: StartOptions): Promise<TestRun>;
}

const quiet = (): void => undefined;
const QUIET = { log: quiet, trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet };

/** A Temporal server of the test's own that skips time, with workers whose activities are scripted. */
export async function withWorkflows<T>(
  use: { settings?: readonly string[] },
  callback: (world: WorkflowWorld) => Promise<T>,
): Promise<T> {
  Runtime.install({ logger: QUIET as never, telemetryOptions: { logging: { filter: 'off' } } });
  const { temporal: path } = await ensureTools(['temporal'], { log: quiet });
  const settings = [
    'frontend.WorkflowTimeSkippingEnabled=true',
    'frontend.WorkflowTimeSkippingMaxSkipPerSession=10000',
    ...(use.settings ?? []),
  ];
  const workflowBundle = await testBundle();
  const env = await TestWorkflowEnvironment.createLocal({
    server: {
      executable: { type: 'existing-path', path },
      log: { level: 'never', format: 'pretty' },
      extraArgs: settings.flatMap((each) => ['--dynamic-config-value', each]),
    },
  });
  try {
    await ensureSearchAttributes(env.nativeConnection, 'default');
    return await withWorkers({ env, workflowBundle }, callback);
  } finally {
    await env.teardown();
  }
}

async function withWorkers<T>(
  { env, workflowBundle }: { env: TestWorkflowEnvironment; workflowBundle: WorkflowBundle },
  callback: (world: WorkflowWorld) => Promise<T>,
): Promise<T> {
  const runs = new Map<string, { run: TestRun; options: StartOptions }>();
  const shared = {
    connection: env.nativeConnection,
    activities: Object.fromEntries(ACTIVITY_NAMES.map((name) => [name, (given: never) => answer(runs, name, given)])),
    // Heartbeats carry cancellations: without the throttle a test need not wait for them.
    ...{ maxHeartbeatThrottleInterval: 20, defaultHeartbeatThrottleInterval: 20, shutdownForceTime: 2000 },
    identity: 'test',
  };
  const common = await Worker.create({ ...shared, taskQueue: TASK_QUEUE, workflowBundle });
  const own = await Worker.create({ ...shared, taskQueue: hostQueue('db1') });
  let number = 0;
  const start: WorkflowWorld['start'] = async (workflow, options = {}) => {
    const source = `source-${++number}`;
    const workflowId = options.workflowId ?? `${workflow}/${source}`;
    const run = runOf(env.client, source, workflowId);
    runs.set(source, { run, options });
    const order = options.order ? options.order(source) : { source, ...options.input };
    if (options.isStreaming) {
      const stream = { workflowId: `wal/${source}`, taskQueue: TASK_QUEUE, args: [{ source }] };
      await env.client.workflow.start('wal', stream);
    }
    const { startDelayMs: startDelay = 0 } = options;
    await env.client.workflow.start(workflow, { workflowId, taskQueue: TASK_QUEUE, args: [order], startDelay });
    if (!options.isInRealTime) await skipTime(env.client, workflowId);
    return run;
  };
  return common.runUntil(own.runUntil(callback({ client: env.client, env, start })));
}

function runOf(client: Client, source: string, workflowId: string): TestRun {
  const calls: TestRun['calls'] = [];
  const handle = client.workflow.getHandle(workflowId);
  return {
    ...{ source, handle, calls },
    names: () => calls.map(({ name }) => name),
    of: (name) => calls.filter((call) => call.name === name).map(({ argument }) => argument as never),
    progress: () => handle.query(progressQuery),
    details: async () => {
      const { currentDetails } = await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata');
      return currentDetails;
    },
  };
}

/** Every argument names its source, itself or through its plan; a service has the name of its source here. */
async function answer(
  runs: Map<string, { run: TestRun; options: StartOptions }>,
  name: ActivityName,
  given: { source?: string; service?: string; plan?: { source: string } },
): Promise<unknown> {
  const known = runs.get(given.source ?? given.plan?.source ?? given.service ?? '');
  if (!known || isStreamOfAnother(known.run)) return answers[name](given as never);
  const { run, options } = known;
  const index = run.calls.push({ name, argument: given }) - 1;
  await options.before?.(index, name);
  const act = (options.script?.[name] ?? answers[name]) as (given: unknown) => unknown;
  return act(given);
}

/** True in an activity of the stream that a backup started. */
function isStreamOfAnother({ handle }: TestRun): boolean {
  const { workflowId = '' } = Context.current().info.workflowExecution ?? {};
  return workflowId.startsWith('wal/') && workflowId !== handle.workflowId;
}

/** From now on this run's clock leaps to its next timer whenever nothing of it is in work. */
export async function skipTime(client: Client, workflowId: string): Promise<void> {
  const request = {
    namespace: 'default',
    workflowExecution: { workflowId },
    workflowExecutionOptions: { timeSkippingConfig: { enabled: true } },
    updateMask: { paths: ['time_skipping_config'] },
  };
  try {
    await client.workflowService.updateWorkflowExecutionOptions(request);
  } catch (error) {
    // It has ended already.
    if (!isGrpcServiceError(error) || error.code !== NOT_FOUND) throw error;
  }
}

const NOT_FOUND = 5;
