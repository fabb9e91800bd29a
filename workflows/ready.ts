import { beginService } from './lib/begin-service.ts';
import { conclude } from './lib/conclude.ts';
import { examine } from './lib/readiness.ts';
import type { ReadyOrder } from './model/orders.ts';
import type { Readiness } from './model/readiness.ts';

/** Says whether a service could be failed over now, and what keeps it from that; changes nothing. Input: {"service":"web"}. */
export async function ready(given: ReadyOrder): Promise<Readiness> {
  const { order, journal, cluster, service } = await beginService<ReadyOrder>('ready', given, {
    ...{ 'service!': 'text', to: 'text' },
  });
  return conclude(journal, () => examine({ cluster, service }, order.to));
}
