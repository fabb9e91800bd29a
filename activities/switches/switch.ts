import type { ZodType } from 'zod';
import type { MoveWords } from '../../workflows/model/service.ts';
import type { Confirmation, Move, Observed, Traffic } from '../../workflows/model/traffic.ts';
import type { Run } from '../io/run.ts';

/**
 * What sends the clients of a service to a database. There is no "undo": to go back is the same move with the sides swapped.
 * Failures of all three: Unavailable and Busy (nothing was changed, ask again), Denied, ConfigInvalid, Unsupported.
 */
export interface SwitchSession extends AsyncDisposable {
  /** Where traffic goes now, asked of whoever sends it there, never remembered by us. */
  where(): Promise<Observed>;
  /**
   * Compare and set: from `from` to `to`, unless the switch has accepted a higher token. A repeat, also after a lost
   * reply, changes nothing and succeeds. Precondition when traffic goes elsewhere than `from`, or the token is stale:
   * nothing was changed. OutcomeUnknown when it did not answer in time or not in its form: look with `where`.
   */
  move(move: Move): Promise<void>;
  /** A look from outside, where a client stands. `ok: false` may be true a moment later. */
  confirm(to: Traffic): Promise<Confirmation>;
  /** What else has to be right for a move to succeed one day, for `doctor`; `where` is asked beside it. Changes nothing. */
  check?(): Promise<SwitchCheck[]>;
}

/** One thing that was looked at. */
export interface SwitchCheck {
  name: string;
  ok: boolean;
  found: string;
  /** How to mend it; of one that is ok, a warning. */
  hint?: string;
}

export interface Switch {
  readonly kind: string;
  readonly schema: ZodType;
  /** What of it stands on one host, in words: only the worker there can move it, so the configuration has to name that. */
  readonly onHost?: string;
  describe(options: unknown): string;
  /** It can give an address a share of the traffic. */
  weighted(options: unknown): boolean;
  /** Names of the sites it moves between, which its traffic goes by; undefined: it takes any "host:port". */
  sites(options: unknown): readonly string[] | undefined;
  /**
   * What it moves works at two sites at once. A move then changes one of them (else Precondition): the new side comes up first,
   * and the old one goes down when everything else has moved.
   */
  overlaps(options: unknown): boolean;
  /** It can send traffic nowhere; else a run that stops traffic leaves it as it is. */
  stops(options: unknown): boolean;
  /** What its moves do, for plans that people agree to; by the configuration alone, without secrets. */
  words(options: unknown): MoveWords;
  open(name: string, options: unknown, run: Run): SwitchSession;
}

export interface SwitchOf<Options> {
  kind: string;
  schema: ZodType<Options>;
  /** Absent: any worker can move it. */
  onHost?: string;
  describe(options: Options): string;
  weighted(options: Options): boolean;
  /** Absent: it takes any "host:port". */
  sites?(options: Options): readonly string[] | undefined;
  overlaps?(options: Options): boolean;
  /** Absent: it does, where it does not overlap. */
  stops?(options: Options): boolean;
  /** Beside what `describe` says. Absent: it says all. */
  words?(options: Options): Omit<MoveWords, 'place'>;
  open(name: string, options: Options, run: Run): SwitchSession;
}

export function defineSwitch<Options>(definition: SwitchOf<Options>): Switch {
  const { kind, schema, onHost } = definition;
  const overlaps = (options: Options): boolean => definition.overlaps?.(options) === true;
  return Object.freeze({
    kind,
    schema,
    ...(onHost === undefined ? {} : { onHost }),
    describe: (options: unknown) => definition.describe(schema.parse(options)),
    weighted: (options: unknown) => definition.weighted(schema.parse(options)),
    sites: (options: unknown) => definition.sites?.(schema.parse(options)),
    overlaps: (options: unknown) => overlaps(schema.parse(options)),
    stops: (options: unknown) => definition.stops?.(schema.parse(options)) ?? !overlaps(schema.parse(options)),
    words: (given: unknown) => {
      const options = schema.parse(given);
      return { place: definition.describe(options), ...definition.words?.(options) };
    },
    open: (name: string, options: unknown, run: Run) => definition.open(name, schema.parse(options), run),
  });
}
