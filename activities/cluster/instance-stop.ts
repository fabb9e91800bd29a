import type * as Ec2 from '@aws-sdk/client-ec2';
import type { FenceResult } from '../../workflows/model/failover-verdict.ts';
import { failure, failureTypeOf, isRetryable } from '../../workflows/model/failure.ts';
import { formatDuration } from '../../workflows/model/units.ts';
import type { ClusterConfig } from '../config/index.ts';
import type { AwsCall } from '../io/aws/failures.ts';
import { AwsCaller } from '../io/aws/caller.ts';
import { awsClientConfig } from '../io/aws/client.ts';
import type { NodeUse } from './node.ts';

type InstanceStop = Extract<ClusterConfig['fence'][number], { by: 'instance-stop' }>;

const POLL_MS = 1_000;
/** Nothing runs there any more, and nothing that was on its way comes out of it. */
const STILL = new Set(['stopped', 'terminated']);
/** It can be asked to stop; in every other state it is on its way to one of those above. */
const AWAKE = new Set(['running', 'pending']);

/**
 * Stops the instance that a node runs on, by force, and looks until it is stopped: an answer to the call proves nothing (EC2 API reference,
 * StopInstances). A repeat only looks. unconfirmed when it is not stopped in time; Denied, NotFound and ConfigInvalid are thrown, for no
 * time makes them better.
 */
export async function stopInstance(use: NodeUse): Promise<Pick<FenceResult, 'outcome' | 'found'>> {
  const { run } = use;
  const { step, instance } = wish(use);
  const deadline = run.clock.nowMs() + step.within;
  const ec2 = await import('@aws-sdk/client-ec2');
  const client = new ec2.EC2Client(awsClientConfig({ ...step, region: instance.region }));
  const place = `instance ${instance.id} in ${instance.region}`;
  const calls = new Instance(client, new AwsCaller(run, step.timeout), { id: instance.id, place, ec2 });
  try {
    for (;;) {
      const state = await tolerant(() => calls.state());
      if (STILL.has(state)) return { outcome: 'confirmed', found: `${place} is ${state}` };
      if (run.clock.nowMs() >= deadline) {
        return { outcome: 'unconfirmed', found: `${place} is ${state} after ${formatDuration(step.within)}` };
      }
      if (AWAKE.has(state)) await tolerant(() => calls.stop());
      run.progress({ phase: `stop ${place}`, note: state });
      await run.clock.sleep(POLL_MS, run.signal);
    }
  } finally {
    client.destroy();
  }
}

/** What a later look may answer is said in words; the rest is thrown. */
async function tolerant(work: () => Promise<string>): Promise<string> {
  try {
    return await work();
  } catch (error) {
    const type = failureTypeOf(error);
    if (type === undefined || !(isRetryable(error) || type === 'OutcomeUnknown')) throw error;
    return `unknown (${(error as Error).message})`;
  }
}

interface Known {
  id: string;
  place: string;
  ec2: typeof Ec2;
}

class Instance {
  readonly #client: Ec2.EC2Client;
  readonly #caller: AwsCaller;
  readonly #known: Known;

  constructor(client: Ec2.EC2Client, caller: AwsCaller, known: Known) {
    this.#client = client;
    this.#caller = caller;
    this.#known = known;
  }

  /** "running", "stopping", ... (EC2 API reference, InstanceState). */
  async state(): Promise<string> {
    const { ec2, id, place } = this.#known;
    const command = new ec2.DescribeInstancesCommand({ InstanceIds: [id] });
    const call: AwsCall = { place, action: 'ec2:DescribeInstances' };
    const { Reservations = [] } = await this.#caller.ask(call, (options) => this.#client.send(command, options));
    return Reservations.flatMap(({ Instances = [] }) => Instances)[0]?.State?.Name ?? 'not told';
  }

  async stop(): Promise<string> {
    const { ec2, id, place } = this.#known;
    const command = new ec2.StopInstancesCommand({ InstanceIds: [id], Force: true });
    const call: AwsCall = { place, action: 'ec2:StopInstances', changes: true };
    await this.#caller.ask(call, (options) => this.#client.send(command, options));
    return 'asked';
  }
}

function wish({ cluster, node, name, service, host }: NodeUse): {
  step: InstanceStop;
  instance: NonNullable<NodeUse['node']['instance']>;
} {
  const step = cluster.fence.find((each) => each.by === 'instance-stop');
  if (step?.by === 'instance-stop' && node.instance) return { step, instance: node.instance };
  throw failure('NotFound', `no instance of ${name} is configured on host ${host}`, {
    place: `services.${service}.cluster.nodes.${name}.instance`,
    expected: 'region and id, and a fence by instance-stop',
    found: 'none',
    hint: 'give every worker the same lifeboat.yml',
  });
}
