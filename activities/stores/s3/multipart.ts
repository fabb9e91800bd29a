import type { CompletedPart, ListMultipartUploadsCommandOutput, S3Client } from '@aws-sdk/client-s3';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { orAborted } from '../../io/or-aborted.ts';
import type { Run } from '../../io/run.ts';
import { isAbsent } from './failures.ts';

export interface Upload {
  client: S3Client;
  target: { Bucket: string; Key: string };
  /** Headers of the object: storage class, encryption. */
  headers: Record<string, string>;
  ifAbsent: boolean;
  run: Run;
  /** Takes what still has to be cleared away when the caller has its answer already. Never rejects. */
  later(work: Promise<void>): void;
}

type UploadId = { Bucket: string; Key: string; UploadId: string | undefined };

const PARALLEL_PARTS = 4;
const ABORT_TRIES = 5;
const ABORT_DELAY_MS = 100;

/**
 * Uploads blocks of at least 5 MiB as parts, a few at a time. On any failure the caller hears of it at once, and the upload
 * is aborted behind its back, so nothing lingers.
 */
export async function uploadParts(upload: Upload, blocks: AsyncIterable<Buffer>): Promise<void> {
  const id = await begin(upload);
  const stop = new AbortController();
  const flying = new Set<Promise<void>>();
  try {
    const signal = AbortSignal.any([upload.run.signal, stop.signal]);
    const Parts = await sendParts({ client: upload.client, id, flying, signal }, blocks);
    const condition = upload.ifAbsent ? { IfNoneMatch: '*' } : {};
    await upload.client.send(new CompleteMultipartUploadCommand({ ...id, ...condition, MultipartUpload: { Parts } }), {
      abortSignal: upload.run.signal,
    });
  } catch (error) {
    stop.abort();
    upload.later(Promise.allSettled(flying).then(() => giveUp(upload, id)));
    throw error;
  }
}

/** An upload that came to be after the caller had gone is aborted as well: only its answer says which one it is. */
async function begin(upload: Upload): Promise<UploadId> {
  const { client, target, headers } = upload;
  const { signal } = upload.run;
  const create = new CreateMultipartUploadCommand({ ...target, ...headers, ChecksumAlgorithm: 'CRC32' });
  let creating: Promise<UploadId> | undefined;
  try {
    return await orAborted(
      signal,
      () => (creating = client.send(create).then(({ UploadId }) => ({ ...target, UploadId }))),
    );
  } catch (error) {
    if (signal.aborted && creating) {
      upload.later(creating.then((id) => giveUp(upload, id)).catch(() => undefined));
    }
    throw error;
  }
}

/**
 * Repeated because a part that is still under way on the server may stand in the way. An upload that cannot be aborted is
 * left to `abortStale`, or to the bucket's own rules.
 */
async function giveUp({ client, run }: Upload, id: UploadId): Promise<void> {
  for (let attempt = 1; attempt <= ABORT_TRIES; attempt++) {
    try {
      await client.send(new AbortMultipartUploadCommand(id));
      return;
    } catch (error) {
      if (isAbsent(error)) return;
      await run.clock.sleep(attempt * ABORT_DELAY_MS);
    }
  }
  run.log.warn(`unfinished upload of ${id.Key} could not be aborted`, { uploadId: id.UploadId });
}

interface Sending {
  client: S3Client;
  id: UploadId;
  /** Parts under way. */
  flying: Set<Promise<void>>;
  signal: AbortSignal;
}

async function sendParts(sending: Sending, blocks: AsyncIterable<Buffer>): Promise<CompletedPart[]> {
  const { flying } = sending;
  const parts: CompletedPart[] = [];
  let number = 0;
  for await (const block of blocks) {
    number += 1;
    const sent = sendPart(sending, number, block).then((part) => void parts.push(part));
    const settled = sent.finally(() => flying.delete(settled));
    settled.catch(() => undefined);
    flying.add(settled);
    if (flying.size >= PARALLEL_PARTS) await Promise.race(flying);
  }
  await Promise.all(flying);
  return parts.sort((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0));
}

async function sendPart({ client, id, signal }: Sending, number: number, block: Buffer): Promise<CompletedPart> {
  const command = new UploadPartCommand({ ...id, PartNumber: number, Body: block, ChecksumAlgorithm: 'CRC32' });
  const { ETag, ChecksumCRC32 } = await client.send(command, { abortSignal: signal });
  return { PartNumber: number, ETag, ChecksumCRC32 };
}

export interface Stale {
  client: S3Client;
  bucket: string;
  prefix: string;
  beforeMs: number;
  signal: AbortSignal;
}

/** Aborts uploads that a dead writer left: nobody sees them, and everybody pays for them. Gives their number. */
export async function abortStale({ client, bucket, prefix, beforeMs, signal }: Stale): Promise<number> {
  let aborted = 0;
  let from: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } | undefined = {};
  while (from) {
    const query = new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix, ...from });
    const page: ListMultipartUploadsCommandOutput = await client.send(query, { abortSignal: signal });
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      if (Key === undefined || !Initiated || Initiated.getTime() >= beforeMs) continue;
      await client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId }), { abortSignal: signal });
      aborted += 1;
    }
    from = page.IsTruncated ? { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker } : undefined;
  }
  return aborted;
}
