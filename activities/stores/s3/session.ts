import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Readable } from 'node:stream';
import type { S3ClientConfig } from '@aws-sdk/client-s3';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import type { Run } from '../../io/run.ts';
import { resolveSecret } from '../../io/secret.ts';
import { chunksOf, untilAborted } from '../body.ts';
import { checkKey } from '../key.ts';
import type { Body, ByteRange, ObjectStat, PutOptions, StoreKey, StoreSession } from '../store.ts';
import { isAbsent, isTaken, s3Failure } from './failures.ts';
import { uploadParts } from './multipart.ts';
import type { S3Options } from './options.ts';

/** Bodies up to this go in one request; larger ones in parts of this size. */
const BLOCK_BYTES = 8 * 1024 * 1024;
const CONNECT_MS = 5_000;
const ANSWER_MS = 60_000;
const SOCKETS = 64;

export async function openS3(options: S3Options, run: Run): Promise<StoreSession> {
  const session = new S3Session(new S3Client(clientConfig(options)), options, run);
  await session.checkBucket();
  return session;
}

function clientConfig(options: S3Options): S3ClientConfig {
  const { accessKeyId, secretAccessKey, endpoint, region, pathStyle } = options;
  const credentials = accessKeyId &&
    secretAccessKey && {
      accessKeyId: resolveSecret(accessKeyId, 'accessKeyId').reveal(),
      secretAccessKey: resolveSecret(secretAccessKey, 'secretAccessKey').reveal(),
    };
  return {
    region,
    forcePathStyle: pathStyle,
    // The retry wrapper decides, by the type of the failure.
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      requestTimeout: ANSWER_MS,
      httpAgent: new HttpAgent({ keepAlive: true, maxSockets: SOCKETS }),
      httpsAgent: new HttpsAgent({ keepAlive: true, maxSockets: SOCKETS }),
    },
    ...(endpoint ? { endpoint } : {}),
    ...(credentials ? { credentials } : {}),
  };
}

class S3Session implements StoreSession {
  readonly #client: S3Client;
  readonly #options: S3Options;
  readonly #run: Run;
  readonly #root: string;

  constructor(client: S3Client, options: S3Options, run: Run) {
    this.#client = client;
    this.#options = options;
    this.#run = run;
    this.#root = options.prefix === '' ? '' : `${options.prefix.replace(/^\/+|\/+$/g, '')}/`;
  }

  async checkBucket(): Promise<void> {
    const { bucket } = this.#options;
    await this.#ask(`s3://${bucket}`, (call) => this.#client.send(new HeadBucketCommand({ Bucket: bucket }), call));
  }

  async put(key: StoreKey, body: Body, options: PutOptions = {}): Promise<{ created: boolean }> {
    const target = this.#target(key);
    const ifAbsent = options.ifAbsent === true;
    try {
      await this.#send(target, body, ifAbsent);
      return { created: true };
    } catch (error) {
      if (ifAbsent && isTaken(error)) return { created: false };
      throw this.#failure(key, error);
    }
  }

  async #send(target: { Bucket: string; Key: string }, body: Body, ifAbsent: boolean): Promise<void> {
    const blocks = inBlocks(untilAborted(chunksOf(body), this.#run.signal))[Symbol.asyncIterator]();
    const first = await blocks.next();
    const second = first.done ? first : await blocks.next();
    const headers = this.#headers();
    const { signal } = this.#run;
    if (second.done) {
      const condition = ifAbsent ? { IfNoneMatch: '*' } : {};
      const single = { ...target, ...headers, ...condition, Body: first.done ? Buffer.alloc(0) : first.value };
      await this.#client.send(new PutObjectCommand({ ...single, ChecksumAlgorithm: 'CRC32' }), { abortSignal: signal });
      return;
    }
    const rest = (async function* (): AsyncIterable<Buffer> {
      yield first.value as Buffer;
      yield second.value;
      for (let next = await blocks.next(); !next.done; next = await blocks.next()) yield next.value;
    })();
    await uploadParts({ client: this.#client, target, headers, ifAbsent, signal }, rest);
  }

  async get(key: StoreKey, range?: ByteRange): Promise<Readable> {
    const bounds = range ? { Range: `bytes=${range.from}-${range.to}` } : {};
    const answer = await this.#ask(this.#place(key), (call) =>
      this.#client.send(new GetObjectCommand({ ...this.#target(key), ...bounds }), call),
    );
    const stream = answer.Body as Readable;
    const stop = (): void => void stream.destroy(this.#run.signal.reason as Error);
    this.#run.signal.addEventListener('abort', stop, { once: true });
    stream.once('close', () => this.#run.signal.removeEventListener('abort', stop));
    return stream;
  }

  async stat(key: StoreKey): Promise<ObjectStat | undefined> {
    try {
      const found = await this.#client.send(new HeadObjectCommand(this.#target(key)), {
        abortSignal: this.#run.signal,
      });
      return { key, bytes: found.ContentLength ?? 0, modifiedAt: (found.LastModified ?? new Date(0)).toISOString() };
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw this.#failure(key, error);
    }
  }

  async *list(prefix: string, options: { startAfter?: StoreKey } = {}): AsyncIterable<ObjectStat> {
    const { bucket } = this.#options;
    let more: string | undefined;
    do {
      const from = more
        ? { ContinuationToken: more }
        : options.startAfter
          ? { StartAfter: this.#root + options.startAfter }
          : {};
      const query = { Bucket: bucket, Prefix: this.#root + prefix, ...from };
      const page = await this.#ask(`s3://${bucket}`, (call) =>
        this.#client.send(new ListObjectsV2Command(query), call),
      );
      for (const item of page.Contents ?? []) {
        const modifiedAt = (item.LastModified ?? new Date(0)).toISOString();
        yield { key: (item.Key ?? '').slice(this.#root.length), bytes: item.Size ?? 0, modifiedAt };
      }
      more = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (more);
  }

  async remove(key: StoreKey): Promise<void> {
    await this.#ask(this.#place(key), (call) => this.#client.send(new DeleteObjectCommand(this.#target(key)), call));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.destroy();
  }

  #target(key: StoreKey): { Bucket: string; Key: string } {
    return { Bucket: this.#options.bucket, Key: this.#root + checkKey(key) };
  }

  #headers(): Record<string, string> {
    const { storageClass, sse } = this.#options;
    return {
      ...(storageClass ? { StorageClass: storageClass } : {}),
      ...(sse ? { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: sse.kmsKeyId } : {}),
    };
  }

  #place(key: StoreKey): string {
    return `s3://${this.#options.bucket}/${this.#root}${key}`;
  }

  async #ask<T>(place: string, call: (options: { abortSignal: AbortSignal }) => Promise<T>): Promise<T> {
    try {
      return await call({ abortSignal: this.#run.signal });
    } catch (error) {
      this.#run.signal.throwIfAborted();
      throw s3Failure(place, error);
    }
  }

  #failure(key: StoreKey, error: unknown): Error {
    this.#run.signal.throwIfAborted();
    return s3Failure(this.#place(key), error);
  }
}

/** Regroups chunks into blocks of BLOCK_BYTES; only the last may be shorter. */
async function* inBlocks(chunks: AsyncIterable<Uint8Array>): AsyncIterable<Buffer> {
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      const piece = chunk.subarray(at, at + BLOCK_BYTES - heldBytes);
      held.push(piece);
      heldBytes += piece.length;
      at += piece.length;
      if (heldBytes === BLOCK_BYTES) {
        yield Buffer.concat(held);
        held = [];
        heldBytes = 0;
      }
    }
  }
  if (heldBytes > 0) yield Buffer.concat(held);
}
