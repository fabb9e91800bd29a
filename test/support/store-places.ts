import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  DeleteBucketCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
} from '@aws-sdk/client-s3';
import type { S3Credentials, TestS3 } from './s3.ts';
import { s3Missing, startS3 } from './s3.ts';

/** A new, empty place for a store. */
export interface StorePlace extends AsyncDisposable {
  options: Record<string, unknown>;
  /** Unfinished writes that lie about. */
  leftovers(): Promise<string[]>;
  /** Takes the place itself away: a bucket deleted, a mount gone. */
  vanish(): Promise<void>;
}

export interface StorePlaces extends AsyncDisposable {
  create(): Promise<StorePlace>;
}

export interface StoreFixture {
  /** Why this kind cannot be tested on this machine. */
  missing(): string | undefined;
  start(): Promise<StorePlaces>;
}

/** One for every kind of the registry: a kind without one fails the contract suite. */
export const STORE_FIXTURES: Record<string, StoreFixture> = {
  filesystem: {
    missing: () => undefined,
    start: async () => ({ create: folderPlace, [Symbol.asyncDispose]: nothing }),
  },
  s3: { missing: s3Missing, start: bucketPlaces },
};

const nothing = async (): Promise<void> => {};

async function folderPlace(): Promise<StorePlace> {
  const path = await mkdtemp(join(tmpdir(), 'lifeboat-store-'));
  return {
    options: { path },
    leftovers: () => readdir(join(path, '.staging')),
    // The mount point stays.
    vanish: async () => {
      await rm(path, { recursive: true });
      await mkdir(path);
    },
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 3 }),
  };
}

async function bucketPlaces(): Promise<StorePlaces> {
  const s3 = await startS3();
  return {
    create: async () => {
      const bucket = await s3.createBucket();
      return {
        options: { bucket, prefix: 'some/folder', ...s3Options(s3.endpoint, s3.root) },
        leftovers: async () => {
          const { Uploads } = await s3.client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
          return (Uploads ?? []).map(({ Key }) => Key ?? '');
        },
        vanish: async () => {
          await empty(s3, bucket);
          await s3.client.send(new DeleteBucketCommand({ Bucket: bucket }));
        },
        [Symbol.asyncDispose]: nothing,
      };
    },
    [Symbol.asyncDispose]: () => s3[Symbol.asyncDispose](),
  };
}

async function empty(s3: TestS3, bucket: string): Promise<void> {
  const { Contents } = await s3.client.send(new ListObjectsV2Command({ Bucket: bucket }));
  for (const { Key } of Contents ?? []) await s3.client.send(new DeleteObjectCommand({ Bucket: bucket, Key }));
}

/** Options of an S3 store; the credentials go through the environment, as in a lifeboat.yml. */
export function s3Options(endpoint: string, credentials: S3Credentials): Record<string, unknown> {
  const { accessKeyId, secretAccessKey } = credentials;
  return {
    ...{ endpoint, pathStyle: true },
    accessKeyId: inEnvironment(accessKeyId),
    secretAccessKey: inEnvironment(secretAccessKey),
  };
}

let secrets = 0;

function inEnvironment(value: string): { env: string } {
  const env = `LIFEBOAT_TEST_STORE_${(secrets += 1)}`;
  process.env[env] = value;
  return { env };
}
