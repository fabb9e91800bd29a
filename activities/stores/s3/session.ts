import { Readable } from 'node:stream';
import type { ListObjectsV2CommandOutput, S3Client } from '@aws-sdk/client-s3';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { isoTime } from '../../io/clock.ts';
import type { Run } from '../../io/run.ts';
import { settledWithin } from '../../io/settled-within.ts';
import { BodyReader, guarded } from '../body.ts';
import { checkKey } from '../key.ts';
import type { Body, ByteRange, ObjectStat, PutOptions, StoreKey, StoreSession } from '../store.ts';
import { splitBody } from './blocks.ts';
import { createClient } from './client.ts';
import { bodyFailure, isAbsent, isBehindEnd, isTaken, s3Failure } from './failures.ts';
import { abortStale, uploadParts } from './multipart.ts';
import type { S3Options } from './options.ts';

/** Uploads older than this belong to a process that is gone. */
const STALE_MS = 24 * 3_600_000;
/** How long disposal waits for what is still to be cleared away. */
const CLEARING_MS = 5_000;

export async function openS3(options: S3Options, run: Run): Promise<StoreSession> {
  const session = new S3Session(createClient(options), options, run);
  try {
    await session.checkBucket();
    await session.clearStale();
    return session;
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
}

interface Call {
  abortSignal: AbortSignal;
}

class S3Session implements StoreSession {
  readonly #client: S3Client;
  readonly #options: S3Options;
  readonly #run: Run;
  readonly #root: string;
  readonly #clearing = new Set<Promise<void>>();

  constructor(client: S3Client, options: S3Options, run: Run) {
    this.#client = client;
    this.#options = options;
    this.#run = run;
    const folder = options.prefix.replace(/^\/+|\/+$/g, '');
    this.#root = folder === '' ? '' : `${folder}/`;
  }

  async checkBucket(): Promise<void> {
    const { bucket } = this.#options;
    await this.#ask(`s3://${bucket}`, (call) => this.#client.send(new HeadBucketCommand({ Bucket: bucket }), call));
  }

  /** A courtesy, not a condition: the right to list uploads may be missing. */
  async clearStale(): Promise<void> {
    const beforeMs = this.#run.clock.nowMs() - STALE_MS;
    const { bucket } = this.#options;
    const { signal, log } = this.#run;
    try {
      const aborted = await abortStale({ client: this.#client, bucket, prefix: this.#root, beforeMs, signal });
      if (aborted > 0) log.info(`${aborted} unfinished uploads in s3://${bucket}/${this.#root} removed`);
    } catch (error) {
      signal.throwIfAborted();
      log.debug(`unfinished uploads in s3://${bucket} cannot be listed`, { error: String(error) });
    }
  }

  async put(key: StoreKey, body: Body, options: PutOptions = {}): Promise<{ created: boolean }> {
    const target = this.#target(key);
    const ifAbsent = options.ifAbsent === true;
    const reader = new BodyReader(body, this.#run.signal);
    try {
      await this.#send(target, reader, ifAbsent);
      return { created: true };
    } catch (error) {
      if (ifAbsent && isTaken(error)) return { created: false };
      throw reader.reasonOf(error, (other) => this.#failure(this.#place(key), other)) as Error;
    }
  }

  async #send(target: { Bucket: string; Key: string }, body: BodyReader, ifAbsent: boolean): Promise<void> {
    const { single, blocks } = await splitBody(body);
    const headers = this.#headers();
    const { signal } = this.#run;
    if (single) {
      const condition = ifAbsent ? { IfNoneMatch: '*' } : {};
      const put = { ...target, ...headers, ...condition, Body: single, ChecksumAlgorithm: 'CRC32' as const };
      await this.#client.send(new PutObjectCommand(put), { abortSignal: signal });
      return;
    }
    const later = (work: Promise<void>): void => this.#clearLater(work);
    await uploadParts({ client: this.#client, target, headers, ifAbsent, run: this.#run, later }, blocks);
  }

  async get(key: StoreKey, range?: ByteRange): Promise<Readable> {
    const place = this.#place(key);
    const bounds = range ? { Range: `bytes=${range.from}-${range.to}` } : {};
    const command = new GetObjectCommand({ ...this.#target(key), ...bounds });
    const answer = await this.#ask(place, (call) =>
      this.#client.send(command, call).catch((error: unknown) => {
        if (isBehindEnd(error)) return undefined;
        throw error;
      }),
    );
    const { signal } = this.#run;
    const stream = answer ? (answer.Body as Readable) : Readable.from([]);
    return guarded(stream, { signal, translate: (error) => bodyFailure(place, error) });
  }

  async stat(key: StoreKey): Promise<ObjectStat | undefined> {
    const command = new HeadObjectCommand(this.#target(key));
    const found = await this.#ask(this.#place(key), (call) =>
      this.#client.send(command, call).catch(absentIsUndefined),
    );
    if (found) return { key, bytes: found.ContentLength ?? 0, modifiedAt: timeOf(found.LastModified) };
    // The answer to HEAD has no body that could say it: the bucket itself may be gone.
    await this.checkBucket();
    return undefined;
  }

  async *list(prefix: string, options: { startAfter?: StoreKey } = {}): AsyncIterable<ObjectStat> {
    const { bucket } = this.#options;
    const { startAfter } = options;
    let from: object | undefined = startAfter === undefined ? {} : { StartAfter: this.#root + startAfter };
    while (from) {
      const query = new ListObjectsV2Command({ Bucket: bucket, Prefix: this.#root + prefix, ...from });
      const page: ListObjectsV2CommandOutput = await this.#ask(`s3://${bucket}`, (call) =>
        this.#client.send(query, call),
      );
      for (const item of page.Contents ?? []) {
        const key = (item.Key ?? '').slice(this.#root.length);
        // Consoles make objects that stand for folders.
        if (key === '' || key.endsWith('/')) continue;
        this.#run.signal.throwIfAborted();
        yield { key, bytes: item.Size ?? 0, modifiedAt: timeOf(item.LastModified) };
      }
      from = page.IsTruncated ? { ContinuationToken: page.NextContinuationToken } : undefined;
    }
  }

  async remove(key: StoreKey): Promise<void> {
    const command = new DeleteObjectCommand(this.#target(key));
    await this.#ask(this.#place(key), (call) => this.#client.send(command, call).catch(absentIsUndefined));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await settledWithin(this.#run.clock, CLEARING_MS, Promise.all(this.#clearing));
    this.#client.destroy();
  }

  #clearLater(work: Promise<void>): void {
    const done = work.finally(() => this.#clearing.delete(done));
    this.#clearing.add(done);
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

  async #ask<T>(place: string, call: (options: Call) => Promise<T>): Promise<T> {
    const { signal } = this.#run;
    signal.throwIfAborted();
    try {
      return await call({ abortSignal: signal });
    } catch (error) {
      signal.throwIfAborted();
      throw this.#failure(place, error) as Error;
    }
  }

  #failure(place: string, error: unknown): unknown {
    return s3Failure(place, error, this.#run.clock.nowMs());
  }
}

function absentIsUndefined(error: unknown): undefined {
  if (isAbsent(error)) return undefined;
  throw error;
}

function timeOf(date: Date | undefined): string {
  return isoTime(date?.getTime() ?? 0);
}
