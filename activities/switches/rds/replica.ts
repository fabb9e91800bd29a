import type { DBInstance } from '@aws-sdk/client-rds';
import { DescribeDBInstancesCommand, PromoteReadReplicaCommand } from '@aws-sdk/client-rds';
import { failure, isRetryable } from '../../../workflows/model/failure.ts';
import type { AwsCall } from '../../io/aws/failures.ts';
import { garbled } from '../../io/aws/failures.ts';
import type { RdsSite } from './options.ts';
import type { RdsState, RdsUse, RdsWay } from './way.ts';
import { tokenIn } from './way.ts';

interface Seen {
  site: string;
  instance: string;
  arn: string;
  status: string;
  /** Whom it follows: a name, or an ARN of another region. */
  source: string | undefined;
  token: number;
}

/** A region that does not answer: what is known of it is what its replicas say. */
interface Silent {
  site: string;
  instance: string;
  error: Error;
}

/**
 * PromoteReadReplica. It cannot be taken back: the promoted instance follows nobody, and the old one goes on as a writer of its
 * own. Which of them is meant is told by the number that a move leaves on it.
 */
export const replica: RdsWay = {
  look: async (use) => {
    const looks = await Promise.all(
      Object.entries(use.options.sites).map(async ([site, at]): Promise<Seen | Silent> => {
        try {
          return await lookAt(use, [site, at]);
        } catch (error) {
          if (!isRetryable(error)) throw error;
          return { site, instance: at.instance, error: error as Error };
        }
      }),
    );
    return stateOf(looks);
  },
  order: async (use, { site, state }) => {
    const at = use.options.sites[site];
    if (!at) throw failure('Bug', `no site ${site}`);
    const { source } = await lookAt(use, [site, at]);
    if (source === undefined) throw notAReplica(use, { site, state });
    await use.caller.ask({ ...callOf(use, at, 'PromoteReadReplica'), changes: true }, (abort) =>
      use.client(at.region).send(new PromoteReadReplicaCommand({ DBInstanceIdentifier: at.instance }), abort),
    );
  },
};

async function lookAt(use: RdsUse, [site, at]: [string, RdsSite]): Promise<Seen> {
  const call = callOf(use, at, 'DescribeDBInstances');
  const { DBInstances } = await use.caller.ask(call, (abort) =>
    use.client(at.region).send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: at.instance }), abort),
  );
  const instance: DBInstance | undefined = DBInstances?.[0];
  if (!instance?.DBInstanceArn) throw garbled(call, 'no instance');
  const { DBInstanceArn, DBInstanceStatus = 'unknown', ReadReplicaSourceDBInstanceIdentifier, TagList } = instance;
  return {
    ...{ site, instance: at.instance, arn: DBInstanceArn, status: DBInstanceStatus, token: tokenIn(TagList) },
    source: ReadReplicaSourceDBInstanceIdentifier || undefined,
  };
}

function stateOf(looks: readonly (Seen | Silent)[]): RdsState {
  const seen = looks.filter((each) => 'arn' in each);
  const silent = looks.filter((each) => 'error' in each);
  const writers = seen.filter(({ source }) => source === undefined).sort((a, b) => b.token - a.token);
  const followed = silent.find(({ instance }) =>
    seen.some(({ source }) => source === instance || source?.endsWith(`:db:${instance}`)),
  );
  const [writer, ...others] = writers;
  if (!writer && !followed && silent[0]) throw silent[0].error;
  const notes = [
    ...others.map(({ site }) => `${site} is cut off for good, and takes writes of its own while it is up`),
    ...silent.map(({ site }) => `${site} does not answer`),
  ];
  return {
    writer: writer?.site ?? followed?.site,
    token: Math.max(0, ...seen.map(({ token }) => token)),
    settled: writer === undefined || writer.status === 'available',
    sites: [
      ...seen.map(({ site, source, status }) => `${site}: ${source === undefined ? 'writer' : 'replica'}, ${status}`),
      ...silent.map(({ site }) => `${site}: no answer`),
    ],
    ...(notes.length === 0 ? {} : { note: notes.join('; ') }),
    tagged: (writer ?? seen[0])?.arn ?? '',
  };
}

function notAReplica({ name, options }: RdsUse, { site, state }: { site: string; state: RdsState }): Error {
  return failure(
    'Precondition',
    `switch ${name}: site ${site} is no replica, and has nothing that others wrote since`,
    {
      ...{
        place: `instance ${options.sites[site]?.instance}`,
        expected: 'a read replica',
        found: state.sites.join('; '),
      },
      hint: 'make a new read replica there (aws rds create-db-instance-read-replica), then start again',
    },
  );
}

function callOf({ options }: RdsUse, { instance, region }: RdsSite, action: string): AwsCall {
  return { place: `instance ${instance} in ${region ?? options.region}`, action: `rds:${action}` };
}
