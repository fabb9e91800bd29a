import { DescribeDBClustersCommand, DescribeDBInstancesCommand, FailoverDBClusterCommand } from '@aws-sdk/client-rds';
import type { AwsCall } from '../../io/aws/failures.ts';
import { garbled } from '../../io/aws/failures.ts';
import type { RdsUse, RdsWay } from './way.ts';
import { tokenIn } from './way.ts';

/** FailoverDBCluster to an instance of the same cluster: nothing is lost, both share the storage. */
export const aurora: RdsWay = {
  look: async (use) => {
    const { options, caller } = use;
    const call = callOf(use, 'DescribeDBClusters');
    const { DBClusters } = await caller.ask(call, (at) =>
      use.client().send(new DescribeDBClustersCommand({ DBClusterIdentifier: options.cluster }), at),
    );
    const [cluster] = DBClusters ?? [];
    if (!cluster?.DBClusterArn) throw garbled(call, 'no cluster');
    const members = new Map(
      (cluster.DBClusterMembers ?? []).map(({ DBInstanceIdentifier, IsClusterWriter }) => [
        DBInstanceIdentifier ?? '',
        IsClusterWriter === true,
      ]),
    );
    const sites = await Promise.all(
      Object.entries(options.sites).map(async ([site, { instance }]) => {
        const writes = members.get(instance);
        const status = writes === undefined ? 'no member' : await statusOf(use, instance);
        return { site, writes, status };
      }),
    );
    const status = cluster.Status ?? 'unknown';
    return {
      writer: sites.find(({ writes }) => writes)?.site,
      token: tokenIn(cluster.TagList),
      settled: status === 'available' && sites.every((each) => each.status === 'available'),
      sites: sites.map(({ site, writes, status: is }) => `${site}: ${writes ? 'writer' : 'reader'}, ${is}`),
      ...(status === 'available' ? {} : { note: `cluster is ${status}` }),
      tagged: cluster.DBClusterArn,
    };
  },
  order: async (use, { site }) => {
    const { options, caller } = use;
    const order = {
      DBClusterIdentifier: options.cluster,
      TargetDBInstanceIdentifier: options.sites[site]?.instance,
    };
    await caller.ask(callOf(use, 'FailoverDBCluster', true), (at) =>
      use.client().send(new FailoverDBClusterCommand(order), at),
    );
  },
};

async function statusOf(use: RdsUse, instance: string): Promise<string> {
  const { DBInstances } = await use.caller.ask(callOf(use, 'DescribeDBInstances'), (at) =>
    use.client().send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: instance }), at),
  );
  return DBInstances?.[0]?.DBInstanceStatus ?? 'unknown';
}

function callOf({ options }: RdsUse, action: string, changes = false): AwsCall {
  const place = `cluster ${options.cluster} in ${options.region}`;
  return { place, action: `rds:${action}`, ...(changes ? { changes: true as const } : {}) };
}
