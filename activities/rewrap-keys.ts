import { failure } from '../workflows/model/failure.ts';
import type { Config } from './config/index.ts';
import { loadKeys } from './config/index.ts';
import type { Run } from './io/run.ts';
import { openStore } from './stores/open.ts';
import type { RewrapPlan } from './vault/index.ts';
import { keyNameText, loadRecoveryPrivate, loadRoot, openerName, planRewrap, wrappers } from './vault/index.ts';

export interface RewrapOrder {
  /** Of the configuration. */
  sources: readonly string[];
  /** File of the old key. */
  from: { root: string } | { recovery: string };
  dryRun: boolean;
  /** Wraps also what no signed manifest vouches for. */
  acceptUnvouched: boolean;
}

export interface RewrapResult {
  /** The old key, and the keys that open every key file afterwards, as key files name them. */
  from: string;
  wrappedFor: string[];
  sources: (Pick<RewrapPlan, 'source' | 'already' | 'unvouched'> & { store: string; wrapped: string[] })[];
}

/**
 * Wraps the key files of sources for the root and recovery key of the configuration, in this process: the old key is on this
 * host only, and no worker hears of it. Every key file of every source is opened before the first one is written, so that a
 * wrong old key, a damaged file or a store that is away changes nothing. A repeat continues.
 */
export async function rewrapKeys(config: Config, order: RewrapOrder, run: Run): Promise<RewrapResult> {
  const to = await loadKeys(config);
  const { from: file } = order;
  const from =
    'root' in file
      ? { root: await loadRoot(file.root) }
      : { recoveryPrivatePem: await loadRecoveryPrivate(file.recovery) };
  await using stores = new AsyncDisposableStack();
  const plans: RewrapPlan[] = [];
  for (const source of order.sources) {
    const store = stores.use(await openStore(storeOf(config, source), run));
    plans.push(await planRewrap(store, { source, from, to }, run));
  }
  refuseNothing(config, plans);
  if (!order.acceptUnvouched) refuseUnvouched(plans);
  if (!order.dryRun) for (const plan of plans) await plan.apply();
  return {
    from: keyNameText(openerName(from)),
    wrappedFor: wrappers(to).map(keyNameText),
    sources: plans.map((plan) => resultOf(config, plan)),
  };
}

function storeOf(config: Config, source: string): Config['stores'][string] {
  const store = config.stores[config.sources[source]?.store ?? ''];
  if (store) return store;
  throw failure('ConfigInvalid', `source ${source} has no store in the configuration`, { place: config.path });
}

function resultOf(config: Config, plan: RewrapPlan): RewrapResult['sources'][number] {
  const { source, toWrap: wrapped, already, unvouched } = plan;
  return { source, store: config.sources[source]?.store ?? '', wrapped, already, unvouched };
}

/** Who destroys the old key after a command that found nothing may have looked into the wrong place. */
function refuseNothing(config: Config, plans: readonly RewrapPlan[]): void {
  if (plans.some(({ toWrap, already }) => toWrap.length + already.length > 0)) return;
  const sources = plans.map(({ source }) => source);
  const stores = [...new Set(sources.map((source) => config.sources[source]?.store))];
  throw failure('NotFound', `there is no key file of ${sources.join(', ')} in store ${stores.join(', ')}`, {
    place: sources.map((source) => `${source}/keys/`).join(', '),
    expected: 'a key file for each month of backups or WAL',
    found: 'none',
    hint: 'lifeboat config explain stores: is it the right place? a vault without backups and WAL needs no rewrap',
  });
}

function refuseUnvouched(plans: readonly RewrapPlan[]): void {
  const unvouched = plans.flatMap((plan) => plan.unvouched);
  if (unvouched.length === 0) return;
  throw failure('Precondition', `no signed manifest vouches for ${unvouched.join(', ')}`, {
    place: unvouched[0] ?? '',
    expected: 'a manifest that this key opens, signed by the key of keys.signing or keys.trusted',
    found: 'none: who can write to the store can have made it, for the public half of the recovery key is no secret',
    hint:
      'name an older signing key in keys.trusted; for a month whose first backup was never taken, --accept-unvouched: ' +
      'WAL under that key is then no more authentic than the store',
  });
}
