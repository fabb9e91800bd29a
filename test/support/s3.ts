import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, PutBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3';
import { cacheFolder } from '../../workers/dev/setup/cache.ts';
import { VERSITYGW_VERSION } from '../../workers/dev/setup/versions.ts';
import type { Seen } from './http-proxy.ts';
import { startHttpProxy } from './http-proxy.ts';
import { freePort } from '../../activities/io/free-port.ts';

export interface S3Credentials {
  accessKeyId: string;
  secretAccessKey: string;
}

/** A real S3 server of the test's own: versitygw on a folder. */
export interface TestS3 extends AsyncDisposable {
  /**
   * Conditional writes of one key take turns here, as on AWS ("conditional writes" in its user guide): versitygw looks
   * whether the key is free and writes in two steps, so that of 20 writers at once several win.
   */
  endpoint: string;
  /** Of the server itself, without the turns. */
  port: number;
  /** May do everything. */
  root: S3Credentials;
  /** May do what a bucket's policy lets it. */
  guest: S3Credentials;
  /** As root, for what the store under test does not do. */
  client: S3Client;
  /** A new bucket with a name of its own; `guestMay` are S3 actions, such as "s3:GetObject". */
  createBucket(guestMay?: string[]): Promise<string>;
}

const PROGRAM = join(cacheFolder(), `versitygw-${VERSITYGW_VERSION}`, 'versitygw');

/** Why there is no S3 server on this machine; undefined when there is one. */
export function s3Missing(): string | undefined {
  return existsSync(PROGRAM) ? undefined : `versitygw is not set up (npm run setup); looked for ${PROGRAM}`;
}

const ROOT = { accessKeyId: 'lifeboat-root', secretAccessKey: 'root secret of a test' };
const GUEST = { accessKeyId: 'lifeboat-guest', secretAccessKey: 'guest secret of a test' };

export async function startS3(): Promise<TestS3> {
  const dir = await mkdtemp(join(tmpdir(), 'lifeboat-s3-'));
  for (const name of ['data', 'iam']) await mkdir(join(dir, name));
  const port = await freePort();
  const stop = await startServer(port, dir);
  const turns = await startHttpProxy(port, conditionalKey);
  const endpoint = turns.origin;
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials: ROOT });
  await createGuest(endpoint);
  let buckets = 0;
  return {
    ...{ endpoint, port, root: ROOT, guest: GUEST, client },
    createBucket: async (guestMay = []) => {
      const bucket = `bucket-${(buckets += 1)}`;
      await client.send(new CreateBucketCommand({ Bucket: bucket }));
      if (guestMay.length > 0) await client.send(new PutBucketPolicyCommand(policy(bucket, guestMay)));
      return bucket;
    },
    [Symbol.asyncDispose]: async () => {
      client.destroy();
      await turns[Symbol.asyncDispose]();
      await stop();
      await rm(dir, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

function conditionalKey({ headers, url }: Seen): string | undefined {
  return headers['if-none-match'] === undefined ? undefined : url.split('?')[0];
}

async function startServer(port: number, dir: string): Promise<() => Promise<void>> {
  const args = ['--quiet', '--port', `127.0.0.1:${port}`, '--iam-dir', join(dir, 'iam'), 'posix', join(dir, 'data')];
  const server = spawn(PROGRAM, args, { env: environment(), stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  server.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const exited = once(server, 'exit');
  while (!(await answers(port))) {
    if (server.exitCode !== null) throw new Error(`versitygw ended with ${server.exitCode}: ${said}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return async () => {
    server.kill('SIGKILL');
    await exited;
  };
}

function environment(): NodeJS.ProcessEnv {
  return { ...process.env, ROOT_ACCESS_KEY: ROOT.accessKeyId, ROOT_SECRET_KEY: ROOT.secretAccessKey };
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function createGuest(endpoint: string): Promise<void> {
  const login = ['--access', ROOT.accessKeyId, '--secret', ROOT.secretAccessKey, '--endpoint-url', endpoint];
  const user = ['--access', GUEST.accessKeyId, '--secret', GUEST.secretAccessKey, '--role', 'user'];
  const admin = spawn(PROGRAM, ['admin', ...login, 'create-user', ...user], { stdio: 'ignore' });
  const [code] = (await once(admin, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`versitygw admin create-user ended with ${code}`);
}

function policy(bucket: string, actions: string[]): { Bucket: string; Policy: string } {
  const Resource = [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`];
  const Statement = [{ Effect: 'Allow', Principal: GUEST.accessKeyId, Action: actions, Resource }];
  return { Bucket: bucket, Policy: JSON.stringify({ Version: '2012-10-17', Statement }) };
}
