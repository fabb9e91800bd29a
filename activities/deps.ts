import type { Config } from './config/index.ts';
import type { Clock } from './io/clock.ts';
import type { Log } from './io/run.ts';
import type { KeyRing } from './vault/vault.ts';

/** What activities may use; made once by the worker. */
export interface Deps {
  readonly config: Config;
  /** Read again at each use, so that a changed key file takes effect without a restart. */
  loadKeys(): Promise<KeyRing>;
  /** Name of this host, in plans and task queues. */
  readonly host: string;
  /** Version of lifeboat. */
  readonly tool: string;
  readonly clock: Clock;
  readonly log: Log;
  /** False where the namespace does not know our search attributes and we may not add them. */
  readonly searchAttributes: boolean;
}
