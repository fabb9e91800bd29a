import { failure } from './failure.ts';
import { checkPartial } from './partial.ts';
import type { BackupOrder, DrillOrder, RestoreOrder } from './orders.ts';
import type { SourceFacts } from './results.ts';
import { describeTarget } from './target.ts';

type Order = BackupOrder | RestoreOrder | DrillOrder;
type Key = keyof BackupOrder | keyof RestoreOrder;

/** What only WAL and files of a cluster can give; a dump is one moment, in statements. */
const PHYSICAL: readonly Key[] = ['timeline', 'tablespaces', 'inPlace'];

/** Unsupported, before anything starts, when an order asks of a kind of source what only the other kind has. */
export function checkForm(order: Order, facts: SourceFacts): void {
  const given = order as Partial<Record<Key, unknown>>;
  if (facts.dumps) {
    checkMoment(order, facts);
    for (const key of PHYSICAL) if (given[key] !== undefined && given[key] !== false) throw refused(key, facts);
  } else {
    checkPartial(given as Partial<RestoreOrder>);
  }
}

function checkMoment(order: Order, facts: SourceFacts): void {
  const { source } = facts;
  if ('type' in order && order.type !== undefined && order.type !== 'full') {
    throw failure('Unsupported', `source ${source} is dumped whole: there is no ${order.type} backup of it`, {
      ...{ place: 'type', expected: 'full', found: order.type },
      hint: `lifeboat backup ${source}; incremental backups are those of a source of kind postgres`,
    });
  }
  if ('action' in order && order.action === 'pause') {
    throw failure('Unsupported', `source ${source} is dumped: a restore replays nothing that could be paused`, {
      ...{ place: 'action', expected: 'promote or shutdown', found: order.action },
      hint: `lifeboat restore ${source}`,
    });
  }
  const target = 'target' in order ? order.target : undefined;
  if (target === undefined || target.kind === 'latest' || target.kind === 'immediate') return;
  throw failure('Unsupported', `source ${source} is dumped: it can be restored to the moments of its dumps only`, {
    ...{ place: 'target', expected: 'no target, or a point', found: describeTarget(target) },
    hint: `lifeboat list ${source}, then lifeboat restore ${source} --point POINT; any moment needs a source of kind postgres`,
  });
}

function refused(key: Key, { source, kind }: SourceFacts): Error {
  return failure('Unsupported', `source ${source} of kind ${kind} cannot be restored with ${key}`, {
    ...{ place: key, expected: `no ${key}`, found: key },
    hint: 'README "Dumps": what can be asked of which kind of source',
  });
}
