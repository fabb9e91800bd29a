import { begin } from './lib/begin.ts';
import { conclude, messageOf } from './lib/conclude.ts';
import { failure } from './model/failure.ts';
import type { VerifyAllOrder } from './model/orders.ts';
import { formatBytes } from './model/units.ts';
import type { VerifyAllResult } from './model/verify-result.ts';
import { pointChecks, walChecks, wrongWal } from './model/verify-result.ts';
import { bulk } from './options.ts';

/**
 * Reads everything that is stored of a source: every recovery point, newest first, and all WAL. What is damaged is told at
 * the end, all of it. Input: {"source":"shop"}.
 */
export async function verifyAll(given: VerifyAllOrder): Promise<VerifyAllResult> {
  const { order, journal, facts, notices } = await begin<VerifyAllOrder>('verifyAll', given, { 'source!': 'text' });
  const { source } = order;
  return conclude(
    journal,
    async () => {
      journal.step('read points');
      const points = await bulk({ summary: `read every recovery point of ${source}` }).verifyPoints({ source });
      journal.note(`${points.points} points, ${formatBytes(points.bytes)}; ${points.damagedCount} damaged`);
      if (!facts.dumps) journal.step('read WAL');
      const wal = facts.dumps
        ? undefined
        : await bulk({ summary: `read the stored WAL of ${source}` }).verifyWal({ source });
      const ok = points.damagedCount === 0 && wal?.ok !== false;
      const result: VerifyAllResult = { source, ok, points, ...(wal ? { wal } : {}) };
      if (ok) return result;
      throw notWhole(result);
    },
    {
      tell: (error) => {
        const title = `what is stored of ${source} failed its verification`;
        notices.send({ severity: 'critical', title, body: messageOf(error) });
      },
      finish: () => notices.settle(),
    },
  );
}

function notWhole(result: VerifyAllResult): Error {
  const { source, points, wal } = result;
  const found = [
    points.damagedCount > 0 ? `${points.damagedCount} of ${points.points} points are damaged` : [],
    wal && !wal.ok ? wrongWal(wal) : [],
  ]
    .flat()
    .join(', ');
  const [first] = points.damaged;
  return failure('Integrity', `what is stored of ${source} is not whole: ${found}`, {
    place: first ? `${source}/${first.point}` : (wal?.faults[0]?.place ?? `source ${source}`),
    expected: 'every point and all WAL as they were written',
    found,
    hint: `take a new backup: lifeboat backup ${source}; lifeboat reachable ${source} shows what can be restored`,
    evidence: { checks: [...pointChecks(points), ...(wal ? walChecks(wal) : [])], ...result },
  });
}
