import { z } from 'zod';
import { SITE_FORM } from '../../../workflows/model/traffic.ts';
import { awsShape, BOTH_KEYS, callTimeout, hasBothKeys } from '../../io/aws/client.ts';
import { oncePerSite } from '../sites.ts';

const MOST_TASKS = 5000;

const site = z
  .strictObject({
    region: z.string().min(1),
    /** Name or ARN. */
    cluster: z.string().min(1).default('default'),
    service: z.string().min(1),
    /** Tasks of a site that serves. */
    desired: z.int().min(1).max(MOST_TASKS),
    /** So many running and healthy tasks are enough to go on; absent: all of them. */
    minimum: z.int().min(1).optional(),
    /** Tasks of a site that waits. */
    standby: z.int().min(0).default(0),
    endpoint: awsShape.endpoint,
  })
  .refine(({ desired, minimum = desired }) => minimum <= desired, {
    path: ['minimum'],
    error: 'at most as many as desired',
  })
  .refine(({ desired, standby }) => standby < desired, { path: ['standby'], error: 'fewer than desired' });

export type EcsSite = z.infer<typeof site>;

export const ecsSchema = z
  .strictObject({
    sites: z
      .record(z.string().regex(SITE_FORM, 'the name of a site'), site)
      .refine((sites) => Object.keys(sites).length > 0, 'a site')
      .superRefine(oncePerSite(({ region, cluster, service }) => `${region} ${cluster} ${service}`, 'a service')),
    ...awsShape,
    timeout: callTimeout,
  })
  .refine(hasBothKeys, BOTH_KEYS);

export type EcsOptions = z.infer<typeof ecsSchema>;
