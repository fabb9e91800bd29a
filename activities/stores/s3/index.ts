import { defineStore } from '../store.ts';
import type { S3Options } from './options.ts';
import { s3Schema } from './options.ts';

export const s3Store = defineStore<S3Options>({
  kind: 's3',
  schema: s3Schema,
  describe: (options) => `s3://${options.bucket}/${options.prefix}${options.endpoint ? ` at ${options.endpoint}` : ''}`,
  // The SDK costs a quarter of a second to load: only who opens a bucket pays for it.
  open: async (options, run) => (await import('./session.ts')).openS3(options, run),
});
