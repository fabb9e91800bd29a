import type { Readable } from 'node:stream';
import type { ZodType } from 'zod';
import type { Run } from '../io/run.ts';

/**
 * "a/b/c": relative, "/" separated, no empty, "." or ".." segment, printable ASCII without what shells, URLs and file
 * systems read as syntax (key.ts); at most 900 bytes, 255 a segment. No key is the folder of another, and none starts with
 * ".staging/": on a file system these cannot be kept apart.
 */
export type StoreKey = string;

export interface ObjectStat {
  key: StoreKey;
  bytes: number;
  /** ISO 8601 UTC, by the store's clock. */
  modifiedAt: string;
}

/** Bytes in memory, or a source that can be started again for a retry. */
export type Body = Uint8Array | (() => AsyncIterable<Uint8Array>);

export interface PutOptions {
  /** Store only when the key is free (If-None-Match: "*" of RFC 9110; link(2) on a file system). */
  ifAbsent?: boolean;
}

export interface ByteRange {
  /** First byte, from 0; at or behind the end of the object it gives no bytes. */
  from: number;
  /** Last byte, inclusive; behind the end of the object it gives what there is. */
  to: number;
}

/**
 * What every store promises: an object is visible whole or not at all; a read after a successful put sees it; a put may
 * be repeated with the same bytes; put-if-absent has exactly one winner; remove of an absent key succeeds.
 * Failures: Unavailable (not reachable, timed out), Busy (throttled), Denied, NotFound (get of an absent key; the bucket
 * or folder itself is gone, which no call takes for an empty store), Precondition (disk full), Integrity (checksum refused).
 * Every call, and every stream, ends with the reason of the run's signal as soon as it fires; a put that ended so, or failed,
 * leaves nothing behind once the session is disposed of, or the whole object when it was too late to stop it. A failure of the body itself
 * is thrown as it is.
 */
export interface StoreSession extends AsyncDisposable {
  /** `created` is false only with `ifAbsent` when the key was taken; after a lost reply the taker may be ourselves. */
  put(key: StoreKey, body: Body, options?: PutOptions): Promise<{ created: boolean }>;
  /** NotFound when absent. The stream fails with our failures too. */
  get(key: StoreKey, range?: ByteRange): Promise<Readable>;
  /** undefined means "asked, and it is not there"; anything else is thrown. */
  stat(key: StoreKey): Promise<ObjectStat | undefined>;
  /** All keys that start with `prefix`, in ascending byte order. */
  list(prefix: string, options?: { startAfter?: StoreKey }): AsyncIterable<ObjectStat>;
  remove(key: StoreKey): Promise<void>;
  /** Write-once until `until` (ISO 8601); only what the store itself enforces. */
  lock?(key: StoreKey, until: string): Promise<void>;
}

/** A kind of store. `open` checks that the place exists and is ours to use, and creates nothing but itself. */
export interface Store {
  readonly kind: string;
  readonly schema: ZodType;
  /** One line for people, without secrets. */
  describe(options: unknown): string;
  open(options: unknown, run: Run): Promise<StoreSession>;
}

export interface StoreOf<Options> {
  kind: string;
  schema: ZodType<Options>;
  describe(options: Options): string;
  open(options: Options, run: Run): Promise<StoreSession>;
}

/** Parses the options once and erases their type, so that the registry is one homogeneous list. */
export function defineStore<Options>(definition: StoreOf<Options>): Store {
  const { kind, schema } = definition;
  return Object.freeze({
    kind,
    schema,
    describe: (options: unknown) => definition.describe(schema.parse(options)),
    open: (options: unknown, run: Run) => definition.open(schema.parse(options), run),
  });
}
