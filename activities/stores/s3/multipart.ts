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
import { settledWithin } from '../../io/settled-within.ts';
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
const PART_GRACE_MS = 2_000;
const ABORT_TRIES = 5;
const ABORT_DELAY_MS = 100;

/**
 * Uploads blocks of at least 5 MiB as parts, a few at a time. On any failure the caller hears of it at once, and the upload
 * is aborted behind its back, so nothing lingers.
 */
export async function uploadParts(upload: Upload, blocks: AsyncIterable<Buffer>): Promise<void> {
  const { client, run } = upload;
  const id = await begin(upload);
  const stop = new AbortController();
  const sending: Sending = { client, id, flying: new Set(), stop: stop.signal, run };
  try {
    const Parts = await sendParts(sending, blocks);
    const condition = upload.ifAbsent ? { IfNoneMatch: '*' } : {};
    await client.send(new CompleteMultipartUploadCommand({ ...id, ...condition, MultipartUpload: { Parts } }), {
      abortSignal: run.signal,
    });
  } catch (error) {
    upload.later(clear(upload, sending, stop));
    throw error;
  }
}

/** "Parts under way may or may not succeed" when an upload is aborted (S3 API reference): they are let end before. */
async function clear(upload: Upload, { flying, id }: Sending, stop: AbortController): Promise<void> {
  await settledWithin(upload.run.clock, PART_GRACE_MS, Promise.allSettled(flying));
  stop.abort();
  await Promise.allSettled(flying);
  await giveUp(upload, id);
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

/** An upload that cannot be aborted is left to `abortStale`, or to the bucket's own rules. */
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
  /** Ends them, some time after the caller has gone. */
  stop: AbortSignal;
  run: Run;
}

async function sendParts(sending: Sending, blocks: AsyncIterable<Buffer>): Promise<CompletedPart[]> {
  const { flying } = sending;
  const { signal } = sending.run;
  const parts: CompletedPart[] = [];
  let number = 0;
  for await (const block of blocks) {
    number += 1;
    const sent = sendPart(sending, number, block).then((part) => void parts.push(part));
    const settled = sent.finally(() => flying.delete(settled));
    settled.catch(() => undefined);
    flying.add(settled);
    if (flying.size >= PARALLEL_PARTS) await orAborted(signal, () => Promise.race(flying));
  }
  await orAborted(signal, () => Promise.all(flying));
  return parts.sort((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0));
}

async function sendPart({ client, id, stop }: Sending, number: number, block: Buffer): Promise<CompletedPart> {
  const command = new UploadPartCommand({ ...id, PartNumber: number, Body: block, ChecksumAlgorithm: 'CRC32' });
  const { ETag, ChecksumCRC32 } = await client.send(command, { abortSignal: stop });
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
