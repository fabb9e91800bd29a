import type { ZodType } from 'zod';
import type { Priority, Severity, UsualTells } from '../../workflows/model/severity.ts';
import type { Run } from '../io/run.ts';

export interface Message {
  severity: Severity;
  /** The same as people name it. */
  priority: Priority;
  /** One line. */
  title: string;
  /** Markdown, at most 4 kB and what can be restored now behind it; no secrets. */
  body: string;
  source: string;
  /** Workflow id of the run it is about. */
  run: string;
  /** The same key is delivered at most once where the receiver can tell (idempotency). */
  key: string;
  /** What belongs together: messages of one group are one thread, one incident. It is the same in the next run of the same id. */
  group: string;
  /** open: people are wanted; acknowledged: somebody is at it; over: nobody is needed any more. */
  state: 'open' | 'acknowledged' | 'over';
  /** What this notifier answered for the first message of the group. */
  thread?: string;
  /** ISO 8601 UTC. */
  at: string;
}

/** What later messages of the same group need to know: a thread to go on in. At most 200 letters, no secret. */
export interface Sent {
  thread?: string;
}

/**
 * A way to reach people. Failures: Unavailable, Busy (with the receiver's own delay), Denied, ConfigInvalid; none of them has a
 * secret in it. A repeat after a lost reply does no harm where the receiver can tell. A notifier that is down never stops a run.
 */
export interface Notifier {
  readonly kind: string;
  readonly schema: ZodType;
  /** One line for the README. */
  readonly summary: string;
  /** What it tells when the configuration does not say. */
  readonly usual: UsualTells;
  describe(options: unknown): string;
  send(options: unknown, message: Message, run: Run): Promise<Sent>;
}

export interface NotifierOf<Options> {
  kind: string;
  schema: ZodType<Options>;
  summary: string;
  usual: UsualTells;
  describe(options: Options): string;
  send(options: Options, message: Message, run: Run): Promise<Sent | void>;
}

export function defineNotifier<Options>(definition: NotifierOf<Options>): Notifier {
  const { kind, schema, summary, usual } = definition;
  return Object.freeze({
    ...{ kind, schema, summary, usual },
    describe: (options: unknown) => definition.describe(schema.parse(options)),
    send: async (options: unknown, message: Message, run: Run) =>
      (await definition.send(schema.parse(options), message, run)) ?? {},
  });
}
