import { z } from 'zod';
import { SITE_FORM } from '../../../workflows/model/traffic.ts';
import { awsShape, BOTH_KEYS, callTimeout, hasBothKeys } from '../../io/aws/client.ts';
import { durationOption } from '../../io/option-types.ts';
import { oncePerSite } from '../sites.ts';

const domain = z
  .string()
  .regex(/^(?=.{1,253}\.?$)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})\.)+[A-Za-z0-9-]{1,63}\.?$/, 'a whole domain name');

const site = z
  .strictObject({
    /** What the record says: an address, or a name for CNAME. */
    value: z.string().min(1).optional(),
    /** A load balancer or another record, as AliasTarget of the API. */
    alias: z
      .strictObject({ name: domain, zone: z.string().min(1), evaluateHealth: z.boolean().default(false) })
      .optional(),
    healthCheck: z.string().min(1).optional(),
  })
  .refine(({ value, alias }) => (value === undefined) !== (alias === undefined), 'either value or alias');

export type Route53Site = z.infer<typeof site>;

/** Clients keep an answer for its TTL: what is longer makes a failover that nobody notices. */
const LONGEST_TTL = 300;

const shape = z.strictObject({
  zone: z.string().regex(/^[A-Z0-9]{2,32}$/, 'the id of a hosted zone, like Z0123456789ABCDEFGHIJ'),
  /** The whole name of the record. */
  record: domain,
  type: z.enum(['A', 'AAAA', 'CNAME']).default('A'),
  policy: z.enum(['simple', 'weighted', 'failover']).default('simple'),
  ttl: z.int().min(1).max(LONGEST_TTL).default(60),
  /** Traffic goes by address, at this port, which DNS does not know. Either this or sites. */
  port: z.int().min(1).max(65_535).optional(),
  sites: z
    .record(z.string().regex(SITE_FORM, 'the name of a site'), site)
    .superRefine(oncePerSite(({ value, alias }) => (value ?? alias?.name ?? '').toLowerCase(), 'a target'))
    .optional(),
  /** What the record says while nobody shall be served. Absent: an address of a network that is not routed. */
  stopped: z.string().min(1).optional(),
  /** The record of type TXT that holds the token. Absent: `_lifeboat.` before the record. */
  tokenRecord: domain.optional(),
  /** Where `confirm` asks, "address" or "address:port". Absent: the resolvers of the worker's host. */
  resolvers: z.array(z.string().min(1)).default([]),
  region: z.string().default('us-east-1'),
  ...awsShape,
  timeout: callTimeout,
  /** How long a change may take until every server of Route 53 has it. */
  syncWithin: durationOption.prefault('2m'),
});

export const route53Schema = shape
  .refine(({ port, sites }) => (port === undefined) !== (sites === undefined), {
    path: ['port'],
    error: 'either port, for traffic by address, or sites',
  })
  .refine(({ policy, sites }) => policy !== 'failover' || Object.keys(sites ?? {}).length === 2, {
    path: ['sites'],
    error: 'two sites for policy failover: a primary and a secondary',
  })
  .refine(({ type, sites }) => type !== 'CNAME' || !Object.values(sites ?? {}).some(({ alias }) => alias), {
    path: ['sites'],
    error: 'value for type CNAME: an alias is a record of type A or AAAA',
  })
  .refine(hasBothKeys, BOTH_KEYS);

export type Route53Options = z.infer<typeof route53Schema>;

/** Networks for documentation and for nothing (RFC 5737, RFC 6666), and a name that never exists (RFC 6761). */
const NOBODY = { A: '192.0.2.1', AAAA: '100::1', CNAME: 'stopped.invalid' } as const;

export function stoppedValue({ stopped, type }: Route53Options): string {
  return stopped ?? NOBODY[type];
}

export function tokenRecord({ tokenRecord, record }: Route53Options): string {
  return tokenRecord ?? `_lifeboat.${record}`;
}
