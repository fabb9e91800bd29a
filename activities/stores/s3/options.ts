import { z } from 'zod';
import { durationOption } from '../../io/option-types.ts';
import { secretRefSchema } from '../../io/secret.ts';

export const s3Schema = z
  .strictObject({
    bucket: z.string().min(3).max(63),
    /** Folder inside the bucket. */
    prefix: z.string().default(''),
    region: z.string().default('us-east-1'),
    /** For anything that is not AWS itself: http(s)://host:port. */
    endpoint: z.url({ protocol: /^https?$/, error: 'an http or https address' }).optional(),
    /** bucket in the path rather than in the host name; most servers other than AWS want it. */
    pathStyle: z.boolean().default(false),
    /** Absent: the SDK's own chain (environment, profile, instance role). */
    accessKeyId: secretRefSchema.optional(),
    secretAccessKey: secretRefSchema.optional(),
    storageClass: z.string().optional(),
    sse: z.strictObject({ kmsKeyId: z.string() }).optional(),
    /** A connection on which nothing moves for so long is given up; the call is then tried again. */
    timeout: durationOption.prefault('60s'),
  })
  .refine(({ accessKeyId, secretAccessKey }) => !accessKeyId === !secretAccessKey, {
    path: ['secretAccessKey'],
    error: 'accessKeyId and secretAccessKey together, or neither for the chain of the AWS SDK',
  });

export type S3Options = z.infer<typeof s3Schema>;
