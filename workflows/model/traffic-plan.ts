import type { NodeFacts } from './cluster.ts';
import { nodeAddress } from './cluster.ts';
import type { PlanStep } from './failover.ts';
import type { SwitchFacts } from './service.ts';

/** What is moved, from where, to where. */
export interface TrafficQuestion {
  from: NodeFacts;
  to: NodeFacts;
  /** In the order in which they are moved. */
  traffic: readonly SwitchFacts[];
}

/** Compute before traffic: what comes up at the new site, and stays up at the old one. No step where nothing does. */
export function raiseSteps({ to, traffic }: TrafficQuestion): PlanStep[] {
  const up = traffic.filter((each) => isCompute(each, to.site));
  if (up.length === 0) return [];
  return [{ what: `bring up site ${to.site}: ${listed(up, ({ up }) => up?.[to.site])}`, undo: 'take it down again' }];
}

/** Whatever overlaps stays up, and what cannot be stopped goes on. */
export function stopStep({ to, traffic }: TrafficQuestion): PlanStep {
  const stopping = traffic.filter((each) => isNeeded(each, to.site) && each.stops !== false);
  const undo = 'send it where it went';
  if (stopping.length === 0) return { what: 'stop the traffic: no switch can, it goes on', undo };
  return { what: `stop the traffic: ${listed(stopping, ({ stopped }) => stopped)}`, undo };
}

/** What goes by addresses goes to that of the node, what goes by sites to its site. */
export function sendStep({ to, traffic }: TrafficQuestion): PlanStep {
  const moving = traffic.filter((each) => isNeeded(each, to.site) && !each.overlaps);
  const said = listed(moving, ({ sites, up }) => (sites ? (up?.[to.site] ?? to.site) : nodeAddress(to)));
  return { what: `send the traffic to ${nodeAddress(to)}: ${said || 'no switch does'}` };
}

/** The old site, when all traffic has left it. */
export function leaveSteps({ from, to, traffic }: TrafficQuestion): PlanStep[] {
  const down = traffic.filter((each) => isCompute(each, from.site));
  if (down.length === 0 || from.site === to.site) return [];
  return [{ what: `take down site ${from.site}: ${listed(down, ({ down: words }) => words?.[from.site])}` }];
}

/** Of a site that is gone nothing is asked: what works there stays as it is. */
export function leftSteps({ from, to, traffic }: TrafficQuestion): PlanStep[] {
  const left = traffic.filter((each) => isCompute(each, from.site));
  if (left.length === 0 || from.site === to.site) return [];
  return [{ what: `leave as it is what works at ${from.site}: ${left.map(({ name }) => name).join(', ')}` }];
}

function isNeeded({ sites }: SwitchFacts, site: string): boolean {
  return !sites || sites.includes(site);
}

function isCompute({ overlaps, sites }: SwitchFacts, site: string): boolean {
  return overlaps === true && sites?.includes(site) === true;
}

/** "pods (kubernetes): 6 pods of deployment web; ..." */
function listed(switches: readonly SwitchFacts[], wordsOf: (each: SwitchFacts) => string | undefined): string {
  const said = switches.map((each) => {
    const { name, kind, place, sites } = each;
    // What goes by sites names its place with what it does there.
    const where = place === undefined || sites ? kind : `${kind}, ${place}`;
    const words = wordsOf(each);
    return `${name} (${where})${words === undefined ? '' : `: ${words}`}`;
  });
  return said.join('; ');
}
