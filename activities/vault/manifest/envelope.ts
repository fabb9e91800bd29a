import { createHash, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { z } from 'zod';
import { failure } from '../../../workflows/model/failure.ts';
import type { KeyRing } from '../vault.ts';
import { MANIFEST_FORMAT } from './schema.ts';

/** Takes the place of a manifest that must never be published. */
export const WITHDRAWN_FORMAT = 'lifeboat-withdrawn/1';
/** Beside a point: nobody may remove it. */
export const HOLD_FORMAT = 'lifeboat-hold/1';
/** Beside a point: what was found when it was read or restored. */
export const CHECKED_FORMAT = 'lifeboat-checked/1';

const FORMATS = [MANIFEST_FORMAT, WITHDRAWN_FORMAT, HOLD_FORMAT, CHECKED_FORMAT] as const;
/** What may stand at a manifest's place. */
const OF_MANIFEST: readonly Format[] = [MANIFEST_FORMAT, WITHDRAWN_FORMAT];

type Format = (typeof FORMATS)[number];

/** What a manifest object holds in the clear; `body` is the encrypted manifest. docs/format.md "Manifest". */
const envelopeSchema = z.strictObject({
  format: z.string(),
  source: z.string(),
  point: z.string(),
  /** Fingerprint of the public key that signed. */
  signer: z.string(),
  /** Ed25519, base64. */
  signature: z.string(),
  /** base64 */
  body: z.string(),
});

type Envelope = z.infer<typeof envelopeSchema>;

export interface Named {
  source: string;
  point: string;
}

export interface Unsealed {
  format: Format;
  body: Buffer;
}

export function seal(keys: KeyRing, named: Named, content: Unsealed): Buffer {
  const clear = { format: content.format, source: named.source, point: named.point, signer: keys.signing.id };
  const signature = sign(null, signedBytes(clear, content.body), createPrivateKey(keys.signing.privatePem));
  return write({ ...clear, signature: signature.toString('base64'), body: content.body.toString('base64') });
}

/** The body, once format, names and signature are what they must be. */
export function unseal(
  keys: Pick<KeyRing, 'trusted'>,
  at: Named & { place: string; formats?: readonly Format[] },
  bytes: Buffer,
): Unsealed {
  const envelope = parse(bytes, at.place);
  const format = knownFormat(envelope.format, at.place);
  const { formats = OF_MANIFEST } = at;
  if (!formats.includes(format)) throw bad(at.place, formats.join(' or '), format);
  if (envelope.source !== at.source || envelope.point !== at.point) {
    throw bad(at.place, `a manifest of ${at.source}/${at.point}`, `one of ${envelope.source}/${envelope.point}`);
  }
  const body = Buffer.from(envelope.body, 'base64');
  checkSignature(keys, envelope, { place: at.place, body });
  return { format, body };
}

/** What is signed: a domain, all that is clear, and the digest of the body, so that none can be exchanged. */
function signedBytes(clear: Omit<Envelope, 'signature' | 'body'>, body: Buffer): Buffer {
  const digest = createHash('sha256').update(body).digest('hex');
  return Buffer.from([clear.format, clear.source, clear.point, clear.signer, digest].join('\n'));
}

function write({ format, source, point, signer, signature, body }: Envelope): Buffer {
  return Buffer.from(JSON.stringify({ format, source, point, signer, signature, body }));
}

function parse(bytes: Buffer, place: string): Envelope {
  const envelope = envelopeSchema.safeParse(asJson(bytes)).data;
  // One form only: what JSON or base64 would overlook (blanks, a second key, a tail) is a change too.
  if (envelope && write(envelope).equals(bytes) && isBase64(envelope.body) && isBase64(envelope.signature)) {
    return envelope;
  }
  throw bad(place, 'a signed manifest', `${bytes.length} bytes of something else`);
}

/** undefined when it is none. */
export function asJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

function isBase64(text: string): boolean {
  return Buffer.from(text, 'base64').toString('base64') === text;
}

function knownFormat(format: string, place: string): Unsealed['format'] {
  const known = FORMATS.find((each) => each === format);
  if (known) return known;
  const version = Number(/^lifeboat-(?:manifest|withdrawn|hold|checked)\/(\d+)$/.exec(format)?.[1] ?? 0);
  if (version <= 1) throw bad(place, MANIFEST_FORMAT, format);
  throw failure('Unsupported', `${place} was written by a newer lifeboat`, {
    place,
    expected: MANIFEST_FORMAT,
    found: format,
    hint: 'install the newest lifeboat on this host',
  });
}

function checkSignature(keys: Pick<KeyRing, 'trusted'>, envelope: Envelope, at: { place: string; body: Buffer }): void {
  const key = keys.trusted.find((candidate) => candidate.id === envelope.signer);
  if (!key) {
    const trusted = keys.trusted.map(({ id }) => id).join(' or ');
    throw bad(at.place, `a signature by ${trusted}`, `one by ${envelope.signer || 'nobody'}`);
  }
  const signature = Buffer.from(envelope.signature, 'base64');
  if (verify(null, signedBytes(envelope, at.body), createPublicKey(key.publicPem), signature)) return;
  throw bad(at.place, `a valid signature of ${envelope.signer}`, 'one that does not fit');
}

function bad(place: string, expected: string, found: string): Error {
  return failure('Integrity', `${place} is not a manifest to trust`, {
    place,
    expected,
    found,
    hint: 'use another copy; if keys changed, name the old public key in keys.trusted',
  });
}
