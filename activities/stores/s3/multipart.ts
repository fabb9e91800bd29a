import type { CompletedPart, S3Client } from '@aws-sdk/client-s3';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';

export interface Upload {
  client: S3Client;
  target: { Bucket: string; Key: string };
  /** Headers of the object: storage class, encryption. */
  headers: Record<string, string>;
  ifAbsent: boolean;
  signal: AbortSignal;
}

const PARALLEL_PARTS = 4;

/** Uploads blocks of at least 5 MiB as parts, a few at a time; on any failure the upload is aborted, so nothing lingers. */
export async function uploadParts(upload: Upload, blocks: AsyncIterable<Buffer>): Promise<void> {
  const { client, target, headers, signal } = upload;
  const created = await client.send(
    new CreateMultipartUploadCommand({ ...target, ...headers, ChecksumAlgorithm: 'CRC32' }),
    { abortSignal: signal },
  );
  const id = { ...target, UploadId: created.UploadId };
  try {
    const parts = await sendParts(upload, id, blocks);
    const condition = upload.ifAbsent ? { IfNoneMatch: '*' } : {};
    await client.send(new CompleteMultipartUploadCommand({ ...id, ...condition, MultipartUpload: { Parts: parts } }), {
      abortSignal: signal,
    });
  } catch (error) {
    // The first error is the one to report; an upload that cannot be aborted either is left to the bucket's own clean-up.
    await client.send(new AbortMultipartUploadCommand(id)).catch(() => undefined);
    throw error;
  }
}

type UploadId = { Bucket: string; Key: string; UploadId: string | undefined };

async function sendParts(upload: Upload, id: UploadId, blocks: AsyncIterable<Buffer>): Promise<CompletedPart[]> {
  const parts: CompletedPart[] = [];
  const flying = new Set<Promise<void>>();
  let number = 0;
  for await (const block of blocks) {
    number += 1;
    const sent = sendPart(upload, { ...id, PartNumber: number }, block).then((part) => void parts.push(part));
    const settled = sent.finally(() => flying.delete(settled));
    settled.catch(() => undefined);
    flying.add(settled);
    if (flying.size >= PARALLEL_PARTS) await Promise.race(flying);
  }
  await Promise.all(flying);
  return parts.sort((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0));
}

async function sendPart(upload: Upload, id: UploadId & { PartNumber: number }, block: Buffer): Promise<CompletedPart> {
  const answer = await upload.client.send(new UploadPartCommand({ ...id, Body: block, ChecksumAlgorithm: 'CRC32' }), {
    abortSignal: upload.signal,
  });
  return { PartNumber: id.PartNumber, ETag: answer.ETag, ChecksumCRC32: answer.ChecksumCRC32 };
}
