import { compareLsn } from './lsn.ts';
import type { PointSummary } from './manifest.ts';

/** A point with all that it stands on, from the full one to itself; or why it stands on nothing. */
export type Chain = { links: PointSummary[] } | { broken: string };

/**
 * Answers for each point what it takes to restore it. A chain is broken when a parent is not there (removed, damaged,
 * withdrawn), belongs to another cluster, begins after its child, or is its own ancestor.
 */
export function chainsOf(points: Iterable<PointSummary>): (point: PointSummary) => Chain {
  const known = new Map([...points].map((point) => [point.point, point]));
  return (point) => {
    const links = [point];
    const seen = new Set([point.point]);
    for (let child = point; child.kind !== 'full';) {
      const id = child.parent ?? '';
      const parent = known.get(id);
      if (!parent) return { broken: `${id}, which ${child.point} stands on, is not in the vault` };
      if (seen.has(id)) return { broken: `${child.point} stands on itself` };
      if (parent.systemId !== child.systemId) return { broken: `${id} is of another cluster than ${child.point}` };
      if (compareLsn(parent.startLsn, child.startLsn) > 0)
        return { broken: `${id} begins behind ${child.point}, which stands on it` };
      seen.add(id);
      links.unshift(parent);
      child = parent;
    }
    return { links };
  };
}
