import type { Service, Task } from '@aws-sdk/client-ecs';
import {
  DescribeServicesCommand,
  DescribeTasksCommand,
  ECSClient,
  ListTagsForResourceCommand,
  ListTasksCommand,
  TagResourceCommand,
  UpdateServiceCommand,
} from '@aws-sdk/client-ecs';
import { failure } from '../../../workflows/model/failure.ts';
import type { AwsCaller } from '../../io/aws/caller.ts';
import { awsClientConfig } from '../../io/aws/client.ts';
import type { AwsCall } from '../../io/aws/failures.ts';
import { garbled } from '../../io/aws/failures.ts';
import type { EcsOptions, EcsSite } from './options.ts';

/** DescribeTasks takes no more. */
const TASKS_AT_ONCE = 100;
const TOKEN_TAG = 'lifeboat-token';

/** A service as the control plane has it. */
export interface EcsState {
  arn: string;
  desired: number;
  running: number;
  pending: number;
  /** Of its newest deployment: COMPLETED, IN_PROGRESS, FAILED; absent where the service does not tell. */
  rollout?: string;
  rolloutReason?: string;
  /** What it said last, newest first. */
  events: string[];
}

export interface TaskHealth {
  healthy: number;
  unhealthy: number;
}

/** The service of one site. */
export class SiteService {
  readonly site: EcsSite;
  readonly place: string;
  readonly #client: ECSClient;
  readonly #caller: AwsCaller;

  constructor(name: string, use: { site: EcsSite; options: EcsOptions; caller: AwsCaller }) {
    const { site, options, caller } = use;
    this.site = site;
    this.place = `site ${name}: service ${site.service} of cluster ${site.cluster} in ${site.region}`;
    const { accessKeyId, secretAccessKey, timeout } = options;
    const endpoint = site.endpoint ?? options.endpoint;
    this.#client = new ECSClient(
      awsClientConfig({ accessKeyId, secretAccessKey, timeout, endpoint, region: site.region }),
    );
    this.#caller = caller;
  }

  async state(): Promise<EcsState> {
    const { cluster, service } = this.site;
    const call = this.#call('DescribeServices');
    const { services, failures } = await this.#caller.ask(call, (at) =>
      this.#client.send(new DescribeServicesCommand({ cluster, services: [service] }), at),
    );
    const [found] = services ?? [];
    if (found) return stateOf(call, found);
    if (!services && !failures) throw garbled(call, 'neither a service nor a reason');
    throw failure('NotFound', `${this.place}: there is no such service`, {
      ...{ place: this.place, expected: 'an active service', found: failures?.[0]?.reason ?? 'none' },
      hint: 'correct cluster, service and region in switches:',
    });
  }

  /** The number that the newest run has left on it. */
  async token(arn: string): Promise<number> {
    const { tags } = await this.#caller.ask(this.#call('ListTagsForResource'), (at) =>
      this.#client.send(new ListTagsForResourceCommand({ resourceArn: arn }), at),
    );
    const value = tags?.find(({ key }) => key === TOKEN_TAG)?.value ?? '';
    return /^\d{1,15}$/.test(value) ? Number(value) : 0;
  }

  async claim(arn: string, token: number): Promise<void> {
    const tags = [{ key: TOKEN_TAG, value: String(token) }];
    await this.#caller.ask(this.#call('TagResource', true), (at) =>
      this.#client.send(new TagResourceCommand({ resourceArn: arn, tags }), at),
    );
  }

  async scale(desiredCount: number): Promise<void> {
    const { cluster, service } = this.site;
    const call = this.#call('UpdateService', true);
    const { service: updated } = await this.#caller.ask(call, (at) =>
      this.#client.send(new UpdateServiceCommand({ cluster, service, desiredCount }), at),
    );
    if (updated?.desiredCount === undefined) throw garbled(call, 'no service');
  }

  /** Of the tasks that run. One without a health check of its own counts as healthy as long as it runs. */
  async health(): Promise<TaskHealth> {
    const { cluster, service } = this.site;
    const arns: string[] = [];
    let next: string | undefined;
    do {
      const query = { cluster, serviceName: service, ...(next === undefined ? {} : { nextToken: next }) };
      const page: { taskArns?: string[] | undefined; nextToken?: string | undefined } = await this.#caller.ask(
        this.#call('ListTasks'),
        (at) => this.#client.send(new ListTasksCommand(query), at),
      );
      arns.push(...(page.taskArns ?? []));
      next = page.nextToken;
    } while (next !== undefined);
    const tasks: Task[] = [];
    for (let at = 0; at < arns.length; at += TASKS_AT_ONCE)
      tasks.push(...(await this.#tasks(arns.slice(at, at + TASKS_AT_ONCE))));
    const running = tasks.filter(({ lastStatus }) => lastStatus === 'RUNNING');
    const unhealthy = running.filter(({ healthStatus }) => healthStatus === 'UNHEALTHY').length;
    return { healthy: running.length - unhealthy, unhealthy };
  }

  async #tasks(arns: string[]): Promise<Task[]> {
    const { tasks } = await this.#caller.ask(this.#call('DescribeTasks'), (at) =>
      this.#client.send(new DescribeTasksCommand({ cluster: this.site.cluster, tasks: arns }), at),
    );
    return tasks ?? [];
  }

  close(): void {
    this.#client.destroy();
  }

  #call(action: string, changes = false): AwsCall {
    return { place: this.place, action: `ecs:${action}`, ...(changes ? { changes: true as const } : {}) };
  }
}

function stateOf(call: AwsCall, service: Service): EcsState {
  const { serviceArn, desiredCount, runningCount = 0, pendingCount = 0, deployments = [], events = [] } = service;
  if (serviceArn === undefined || desiredCount === undefined) throw garbled(call, 'a service without its numbers');
  const newest = deployments.find(({ status }) => status === 'PRIMARY');
  return {
    ...{ arn: serviceArn, desired: desiredCount, running: runningCount, pending: pendingCount },
    ...(newest?.rolloutState === undefined ? {} : { rollout: newest.rolloutState }),
    ...(newest?.rolloutStateReason === undefined ? {} : { rolloutReason: newest.rolloutStateReason }),
    events: events.flatMap(({ message }) => (message === undefined ? [] : [message])),
  };
}
