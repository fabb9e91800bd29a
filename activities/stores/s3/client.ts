import { S3Client } from '@aws-sdk/client-s3';
import { awsClientConfig } from '../../io/aws/client.ts';
import type { S3Options } from './options.ts';

const SOCKETS = 64;

export function createClient(options: S3Options): S3Client {
  return new S3Client({ ...awsClientConfig(options, SOCKETS), forcePathStyle: options.pathStyle });
}
