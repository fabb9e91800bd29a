import { createHash, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { z } from 'zod';
import { failure } from '../../../workflows/model/failure.ts';
import type { KeyRing } from '../vault.ts';
import { MANIFEST_FORMAT } from './schema.ts';

/** What a manifest object holds in the clear; `body` is the encrypted manifest. docs/format.md "Manifest". */
const envelopeSchema = z.object({
  format: z.string(),
  source: z.string(),
  point: z.string(),
  signer: z.string(),
  signature: z.string(),
  body: z.string(),
});

export interface Signed {
  source: string;
  point: string;
  body: Buffer;
}

/** What is signed: a domain, the names and the digest of the body, so that none can be exchanged. */
function signedBytes(signed: Signed): Buffer {
  const digest = createHash('sha256').update(signed.body).digest('hex');
  return Buffer.from([MANIFEST_FORMAT, signed.source, signed.point, digest].join('\n'));
}

export function seal(keys: KeyRing, signed: Signed): Buffer {
  const signature = sign(null, signedBytes(signed), createPrivateKey(keys.signing.privatePem));
  return Buffer.from(
    JSON.stringify({
      ...{ format: MANIFEST_FORMAT, source: signed.source, point: signed.point, signer: keys.signing.id },
      signature: signature.toString('base64'),
      body: signed.body.toString('base64'),
    }),
  );
}

/** The body, once format, names and signature are what they must be. */
export function unseal(keys: KeyRing, at: { source: string; point: string; place: string }, bytes: Buffer): Buffer {
  const envelope = parse(bytes, at.place);
  checkFormat(envelope.format, at.place);
  if (envelope.source !== at.source || envelope.point !== at.point) {
    throw bad(at.place, `a manifest of ${at.source}/${at.point}`, `one of ${envelope.source}/${envelope.point}`);
  }
  const body = Buffer.from(envelope.body, 'base64');
  const key = keys.trusted.find((candidate) => candidate.id === envelope.signer);
  if (!key)
    throw bad(
      at.place,
      `a signature by ${keys.trusted.map(({ id }) => id).join(' or ')}`,
      `one by ${envelope.signer || 'nobody'}`,
    );
  const genuine = verify(
    null,
    signedBytes({ ...at, body }),
    createPublicKey(key.publicPem),
    Buffer.from(envelope.signature, 'base64'),
  );
  if (!genuine) throw bad(at.place, `a valid signature of ${envelope.signer}`, 'one that does not fit');
  return body;
}

function parse(bytes: Buffer, place: string): z.infer<typeof envelopeSchema> {
  try {
    return envelopeSchema.parse(JSON.parse(bytes.toString('utf8')));
  } catch {
    throw bad(place, 'a signed manifest', `${bytes.length} bytes of something else`);
  }
}

function checkFormat(format: string, place: string): void {
  if (format === MANIFEST_FORMAT) return;
  const version = Number(/^lifeboat-manifest\/(\d+)$/.exec(format)?.[1] ?? 0);
  if (version <= 1) throw bad(place, MANIFEST_FORMAT, format);
  throw failure('Unsupported', `${place} was written by a newer lifeboat`, {
    place,
    expected: MANIFEST_FORMAT,
    found: format,
    hint: 'install the newest lifeboat on this host',
  });
}

function bad(place: string, expected: string, found: string): Error {
  return failure('Integrity', `${place} is not a manifest to trust`, {
    place,
    expected,
    found,
    hint: 'use another copy; if keys changed, name the old public key in keys.signing.trusted',
  });
}
