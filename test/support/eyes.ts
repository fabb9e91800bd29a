import { Context } from '@temporalio/activity';
import type { Observation, Sight } from '../../workflows/model/outage.ts';
import { digestOf } from '../../workflows/model/outage.ts';
import { observationBy } from './failover-answers.ts';
import type { Script } from './workflow-env.ts';

/** What the one observer of a test sees; it speaks when that is something new, as a real one does. */
export class Eyes {
  #now: Observation = observationBy('db1');

  see(primary: Partial<Sight>, standby: Partial<Sight> = {}): void {
    this.#now = observationBy('db1', { primary, standby });
  }

  readonly observeCluster: NonNullable<Script['observeCluster']> = async ({ seen }) => {
    const context = Context.current();
    while (seen !== undefined && digestOf(this.#now.sights) === seen) {
      context.heartbeat();
      await context.sleep(20);
    }
    return this.#now;
  };
}
