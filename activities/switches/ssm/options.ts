import { z } from 'zod';
import { SITE_FORM } from '../../../workflows/model/traffic.ts';
import { awsShape, BOTH_KEYS, callTimeout, hasBothKeys } from '../../io/aws/client.ts';

export const ssmSchema = z
  .strictObject({
    /** Name of the parameter, as "/shop/active-site". */
    parameter: z.string().regex(/^[A-Za-z0-9_./-]{1,1011}$/, 'the name of a parameter, like /shop/active-site'),
    region: z.string().min(1),
    /** Its value is the name of one of these. */
    sites: z
      .array(z.string().regex(SITE_FORM, 'the name of a site'))
      .min(1)
      .refine((sites) => new Set(sites).size === sites.length, 'every site once'),
    /** Its value while no site is active. */
    stopped: z.string().min(1).default('none'),
    ...awsShape,
    timeout: callTimeout,
  })
  .refine(({ sites, stopped }) => !sites.includes(stopped), { path: ['stopped'], error: 'a value that is no site' })
  .refine(hasBothKeys, BOTH_KEYS);

export type SsmOptions = z.infer<typeof ssmSchema>;
