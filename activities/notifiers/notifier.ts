import type { ZodType } from 'zod';
import type { Run } from '../io/run.ts';

export interface Message {
  severity: 'info' | 'warning' | 'critical';
  /** One line. */
  title: string;
  /** Markdown, at most 4 kB, no secrets. */
  body: string;
  source: string;
  /** Workflow id of the run it is about. */
  run: string;
  /** The same key is delivered at most once where the receiver can tell (idempotency). */
  key: string;
  /** ISO 8601 UTC. */
  at: string;
}

/** A way to reach people. Failures: Unavailable, Busy, Denied, ConfigInvalid. A notifier that is down never stops a run. */
export interface Notifier {
  readonly kind: string;
  readonly schema: ZodType;
  describe(options: unknown): string;
  send(options: unknown, message: Message, run: Run): Promise<void>;
}

export interface NotifierOf<Options> {
  kind: string;
  schema: ZodType<Options>;
  describe(options: Options): string;
  send(options: Options, message: Message, run: Run): Promise<void>;
}

export function defineNotifier<Options>(definition: NotifierOf<Options>): Notifier {
  const { kind, schema } = definition;
  return Object.freeze({
    kind,
    schema,
    describe: (options: unknown) => definition.describe(schema.parse(options)),
    send: (options: unknown, message: Message, run: Run) => definition.send(schema.parse(options), message, run),
  });
}
