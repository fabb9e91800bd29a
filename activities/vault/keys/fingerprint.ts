import { createHash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

export const ROOT_BYTES = 32;

/** First 16 hex digits of the SHA-256: names a key without telling it. */
export function fingerprint(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}

/** Fingerprint of the public half in DER (SubjectPublicKeyInfo). */
export function publicId(key: KeyObject): string {
  return fingerprint(key.export({ type: 'spki', format: 'der' }));
}

export function publicPem(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'pem' }) as string;
}
