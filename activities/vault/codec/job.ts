import type { PartFill, PartQuestion } from '../../sources/part-sink.ts';
import type { PartUse } from '../../sources/source.ts';

/** What the codec threads are asked; plain data, buffers are transferred. */
export interface Kek {
  namespace: string;
  name: string;
  key: Uint8Array;
}

/** What is made of plaintext. */
interface Encoding {
  /** zstd level. */
  level: number;
  context: Record<string, string>;
  kek: Kek;
}

export interface EncodeJob extends Encoding {
  kind: 'encode';
  bytes: Uint8Array;
}

/** The thread brings the plaintext itself. */
export interface FillJob extends Encoding {
  kind: 'fill';
  fill: PartFill;
}

export interface DecodeJob {
  kind: 'decode';
  bytes: Uint8Array;
  context: Record<string, string>;
  kek: Kek;
  place: string;
  /** Stored length and SHA-256 that the manifest promises; absent where no manifest does. */
  expected?: { bytes: number; sha256: string };
  /** Plaintext length that the manifest promises. */
  plainBytes?: number;
  /** What is done with the plaintext in the thread; the answer has no bytes then. */
  use?: PartUse;
}

/** The thread finds something out, and the answer has no bytes. */
export interface AskJob {
  kind: 'ask';
  question: PartQuestion;
}

export type Job = EncodeJob | FillJob | DecodeJob | AskJob;

export interface Encoded {
  bytes: Buffer;
  /** Of the encoded bytes, hex. */
  sha256: string;
}

/** What a thread brought itself, or used up: the length of the plaintext, and what it says of it. */
export interface Brought {
  plainBytes: number;
  said: unknown;
}

/** Encoded or decoded bytes; of encoded ones their SHA-256, hex. */
export interface Result {
  bytes: Uint8Array;
  sha256?: string;
  brought?: Brought;
}
