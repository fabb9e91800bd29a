import type { Traffic } from '../../../workflows/model/traffic.ts';

/** Of weights whole per cent, together 100 with what goes to nobody (`side` undefined); a weight above 0 is at least 1 %. */
export function wholeShares(weights: readonly { side: string | undefined; weight: number }[]): Traffic {
  const bySide = new Map<string | undefined, number>();
  for (const { side, weight } of weights) bySide.set(side, (bySide.get(side) ?? 0) + weight);
  const total = [...bySide.values()].reduce((sum, weight) => sum + weight, 0);
  // Of nothing but zeros Route 53 answers each as often as the others.
  const exact = [...bySide].map(([side, weight]) => ({
    side,
    share: total === 0 ? 100 / bySide.size : (weight * 100) / total,
  }));
  const shares = exact
    .filter(({ share }) => share > 0)
    .map(({ side, share }) => ({ side, whole: Math.max(1, Math.floor(share)), rest: share - Math.floor(share) }))
    .sort((a, b) => b.rest - a.rest);
  let left = 100 - shares.reduce((sum, { whole }) => sum + whole, 0);
  for (const each of shares) {
    if (left <= 0) break;
    each.whole += 1;
    left -= 1;
  }
  // Shares of less than one per cent were given one: the largest has it to spare.
  const largest = shares.toSorted((a, b) => b.whole - a.whole)[0];
  if (left < 0 && largest) largest.whole += left;
  return Object.fromEntries(
    shares.flatMap(({ side, whole }) => (side === undefined ? [] : [[side, whole] as [string, number]])),
  );
}
