import { chainsOf } from './chain.ts';
import type { PointKind, PointSummary } from './manifest.ts';

export interface ParentWish {
  kind: Exclude<PointKind, 'full'>;
  /** Points that may stand on a full one, one on the other. */
  chainLimit: number;
}

/** What a new point can stand on: its parent, with the points that one stands on, the full one first; or why on nothing. */
export type ParentChoice = { chain: PointSummary[] } | { fallback: string };

/**
 * The newest point for an incremental one, the newest full one for a differential one. Nothing is built on what could not be
 * restored: not on a chain that lacks a link, nor beside a newer point that cannot be read.
 */
export function chooseParent(
  held: { points: readonly PointSummary[]; damaged: readonly { point: string; reason: string }[] },
  { kind, chainLimit }: ParentWish,
): ParentChoice {
  const usable = kind === 'differential' ? held.points.filter((point) => point.kind === 'full') : held.points;
  const parent = usable.at(-1);
  // Names of points sort by time.
  const damaged = held.damaged.find(({ point }) => point > (parent?.point ?? ''));
  if (damaged) return { fallback: `${damaged.point} is damaged: ${damaged.reason}` };
  if (!parent) return { fallback: `there is no ${kind === 'differential' ? 'full point' : 'point'} to build on` };
  const chain = chainsOf(held.points)(parent);
  if ('broken' in chain) return { fallback: chain.broken };
  const { links } = chain;
  if (links.length <= chainLimit) return { chain: links };
  return {
    fallback: `${links.length - 1} points stand on ${links[0]?.point}, the limit (backup.chainLimit) is ${chainLimit}`,
  };
}
