import {
  DescribeGlobalClustersCommand,
  FailoverGlobalClusterCommand,
  ListTagsForResourceCommand,
  SwitchoverGlobalClusterCommand,
} from '@aws-sdk/client-rds';
import type { AwsCall } from '../../io/aws/failures.ts';
import { garbled } from '../../io/aws/failures.ts';
import type { RdsUse, RdsWay } from './way.ts';
import { tokenIn } from './way.ts';

/** The cluster of another region becomes the primary: switched over without loss, or failed over with it where that is allowed. */
export const global: RdsWay = {
  look: async (use) => {
    const { options, caller } = use;
    const call = callOf(use, 'DescribeGlobalClusters');
    const { GlobalClusters } = await caller.ask(call, (at) =>
      use.client().send(new DescribeGlobalClustersCommand({ GlobalClusterIdentifier: options.cluster }), at),
    );
    const [cluster] = GlobalClusters ?? [];
    const arn = cluster?.GlobalClusterArn;
    if (!cluster || arn === undefined) throw garbled(call, 'no global cluster');
    const tags = await caller.ask(callOf(use, 'ListTagsForResource'), (at) =>
      use.client().send(new ListTagsForResourceCommand({ ResourceName: arn }), at),
    );
    const sites = Object.entries(options.sites).map(([site, { instance }]) => {
      const member = cluster.GlobalClusterMembers?.find(({ DBClusterArn }) => DBClusterArn === instance);
      return {
        site,
        writes: member?.IsWriter === true,
        sync: member ? (member.SynchronizationStatus ?? '') : 'no member',
      };
    });
    const status = cluster.Status ?? 'unknown';
    return {
      writer: sites.find(({ writes }) => writes)?.site,
      token: tokenIn(tags.TagList),
      settled: status === 'available' && cluster.FailoverState?.Status === undefined,
      sites: sites.map(({ site, writes, sync }) => `${site}: ${writes ? 'primary' : `secondary ${sync}`.trim()}`),
      ...(status === 'available' ? {} : { note: `global cluster is ${status}` }),
      tagged: arn,
    };
  },
  order: async (use, { site }) => {
    const { options, caller } = use;
    const target = {
      GlobalClusterIdentifier: options.cluster,
      TargetDbClusterIdentifier: options.sites[site]?.instance,
    };
    // Asked where the new primary is: the other region may be what has failed.
    const client = use.client(options.sites[site]?.region ?? target.TargetDbClusterIdentifier?.split(':')[3]);
    if (options.allowDataLoss)
      await caller.ask(callOf(use, 'FailoverGlobalCluster', true), (at) =>
        client.send(new FailoverGlobalClusterCommand({ ...target, AllowDataLoss: true }), at),
      );
    else
      await caller.ask(callOf(use, 'SwitchoverGlobalCluster', true), (at) =>
        client.send(new SwitchoverGlobalClusterCommand(target), at),
      );
  },
};

function callOf({ options }: RdsUse, action: string, changes = false): AwsCall {
  const place = `global cluster ${options.cluster} in ${options.region}`;
  return { place, action: `rds:${action}`, ...(changes ? { changes: true as const } : {}) };
}
