import type { z } from 'zod';
import { failure } from '../../workflows/model/failure.ts';
import type { Move, Traffic } from '../../workflows/model/traffic.ts';
import { describeTraffic, siteProblem } from '../../workflows/model/traffic.ts';

/** ConfigInvalid, before anything is touched, when a move goes to what is no site of this switch. */
export function checkSites(name: string, to: Traffic, sites: readonly string[]): void {
  const problem = siteProblem(to, sites);
  if (problem === undefined) return;
  throw failure('ConfigInvalid', `switch ${name} has no such site`, {
    place: `switches.${name}.sites`,
    expected: `one of ${sites.join(', ')}, each with a share up to 100`,
    found: problem,
    hint: 'move it to a site that it has, or add the site',
  });
}

/**
 * Precondition when a move changes more than one site: what is at several places cannot change at all of them at once, and the
 * old side goes down in a move of its own, when everything else has left it.
 */
export function checkOneSite(name: string, { from, to }: Move): void {
  const changed = Object.keys({ ...from, ...to }).filter((site) => (to[site] ?? 0) !== (from[site] ?? 0));
  if (changed.length <= 1) return;
  throw failure('Precondition', `switch ${name} changes one site in a move, not ${changed.length}`, {
    place: `switches.${name}`,
    expected: 'a move that brings one site up, or takes one down',
    found: `${describeTraffic(from)} to ${describeTraffic(to)}`,
    hint: `move to ${describeTraffic({ ...from, ...to })} first, site by site, and take the old one down when all has left it`,
  });
}

/** What there is to say of each site. */
export function wordsBySite<Site>(
  sites: Readonly<Record<string, Site>>,
  wordsOf: (site: Site, name: string) => string,
): Record<string, string> {
  return Object.fromEntries(Object.entries(sites).map(([name, site]) => [name, wordsOf(site, name)]));
}

/** Sites that share what each needs for itself: they would take it from each other. */
export function twice<Site>(
  sites: Readonly<Record<string, Site>>,
  keyOf: (site: Site) => string,
): { site: string; owner: string; key: string }[] {
  const owners = new Map<string, string>();
  return Object.entries(sites).flatMap(([site, value]) => {
    const key = keyOf(value);
    const owner = owners.get(key);
    owners.set(key, owner ?? site);
    return owner === undefined ? [] : [{ site, owner, key }];
  });
}

/** The same for the schema of a kind: `what` is "a service". */
export function oncePerSite<Site>(
  keyOf: (site: Site) => string,
  what: string,
): (sites: Record<string, Site>, context: z.RefinementCtx) => void {
  return (sites, context) => {
    for (const { site, owner, key } of twice(sites, keyOf))
      context.addIssue({ code: 'custom', path: [site], message: `${what} of its own: ${owner} has ${key}` });
  };
}
