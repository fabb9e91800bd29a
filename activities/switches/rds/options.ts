import { z } from 'zod';
import { SITE_FORM } from '../../../workflows/model/traffic.ts';
import { awsShape, BOTH_KEYS, callTimeout, hasBothKeys } from '../../io/aws/client.ts';
import { oncePerSite } from '../sites.ts';

const site = z.strictObject({
  /** DBInstanceIdentifier; of `way: global` the ARN of the cluster. */
  instance: z.string().min(1),
  /** Of `way: replica`; absent: that of the switch. */
  region: z.string().min(1).optional(),
});

export type RdsSite = z.infer<typeof site>;

export const rdsSchema = z
  .strictObject({
    /**
     * aurora: another instance of a cluster becomes its writer. replica: a read replica is promoted, for good: it follows nobody
     * any more, and the way back is a new replica. global: another region's cluster becomes the primary of a global cluster.
     */
    way: z.enum(['aurora', 'replica', 'global']),
    region: z.string().min(1),
    /** Of aurora the DB cluster, of global the global cluster. */
    cluster: z.string().min(1).optional(),
    sites: z
      .record(z.string().regex(SITE_FORM, 'the name of a site'), site)
      .refine((sites) => Object.keys(sites).length >= 2, 'two sites or more')
      .superRefine(oncePerSite(({ region = '', instance }) => `${region} ${instance}`.trim(), 'an instance')),
    /** Of global: fail over and lose what was not replicated, rather than switch over. */
    allowDataLoss: z.boolean().default(false),
    ...awsShape,
    timeout: callTimeout,
  })
  .refine(({ way, cluster }) => (way === 'replica') === (cluster === undefined), {
    path: ['cluster'],
    error: 'the name of the cluster for aurora and global, nothing for replica',
  })
  .refine(hasBothKeys, BOTH_KEYS);

export type RdsOptions = z.infer<typeof rdsSchema>;
