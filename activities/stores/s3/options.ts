import { z } from 'zod';
import { awsShape, BOTH_KEYS, hasBothKeys } from '../../io/aws/client.ts';
import { durationOption } from '../../io/option-types.ts';

export const s3Schema = z
  .strictObject({
    bucket: z.string().min(3).max(63),
    /** Folder inside the bucket. */
    prefix: z.string().default(''),
    region: z.string().default('us-east-1'),
    ...awsShape,
    /** bucket in the path rather than in the host name; most servers other than AWS want it. */
    pathStyle: z.boolean().default(false),
    storageClass: z.string().optional(),
    sse: z.strictObject({ kmsKeyId: z.string() }).optional(),
    /** A connection on which nothing moves for so long is given up; the call is then tried again. */
    timeout: durationOption.prefault('60s'),
  })
  .refine(hasBothKeys, BOTH_KEYS);

export type S3Options = z.infer<typeof s3Schema>;
