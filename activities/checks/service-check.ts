import type { ZodType } from 'zod';
import type { Run } from '../io/run.ts';

/** What is checked: a server, its name, and what a program is told beside. */
export interface CheckedPlace {
  name: string;
  host: string;
  port: number;
  environment: Record<string, string>;
  /** It is a copy that reaches nobody and stands for the service: what stands at an address of its own is not asked about it. */
  isCopy?: true;
}

/** One check of one service, and what it looks at. */
export interface CheckUse {
  service: string;
  /** Name of the check. */
  name: string;
  at: CheckedPlace;
  run: Run;
}

/** `expected` and `found` have no secret in them. */
export interface Answer {
  ok: boolean;
  expected: string;
  found: string;
  detail?: string;
}

/**
 * A way to ask whether a service works. What does not work is an answer; so is who does not answer in time. Failures: Unsupported,
 * ConfigInvalid, Denied and Unavailable, which whoever asks takes as an answer, too; the reason of the run's signal.
 */
export interface ServiceCheck {
  readonly kind: string;
  readonly schema: ZodType;
  /** One line for the README. */
  readonly summary: string;
  /** The address it asks whatever is checked; undefined: it asks what it is given. */
  asks(options: unknown): string | undefined;
  ask(options: unknown, use: CheckUse): Promise<Answer>;
}

export interface ServiceCheckOf<Options> {
  kind: string;
  schema: ZodType<Options>;
  summary: string;
  asks?(options: Options): string | undefined;
  ask(options: Options, use: CheckUse): Promise<Answer>;
}

export function defineServiceCheck<Options>(definition: ServiceCheckOf<Options>): ServiceCheck {
  const { kind, schema, summary } = definition;
  return Object.freeze({
    ...{ kind, schema, summary },
    asks: (options: unknown) => definition.asks?.(schema.parse(options)),
    ask: (options: unknown, use: CheckUse) => definition.ask(schema.parse(options), use),
  });
}
