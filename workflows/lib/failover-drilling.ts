import type { NodeFacts, NodeState } from '../model/cluster.ts';
import type {
  FailoverDrillOrder,
  FailoverDrillPhases,
  FailoverDrillResult,
  Isolation,
} from '../model/failover-drill.ts';
import type { FailoverPlan, Promotion } from '../model/failover.ts';
import { stateOf } from '../model/failover-checks.ts';
import type { Check } from '../model/recovery.ts';
import type { ReportSection, ServiceChange } from '../model/report.ts';
import { CHECK_HEAD, checkRows } from '../model/check-rows.ts';
import { describeTraffic } from '../model/traffic.ts';
import { formatDuration } from '../model/units.ts';
import type { BegunService } from './begin-service.ts';
import type { Compensations } from './conclude.ts';
import type { Said } from './failing-over.ts';
import { spansOf } from './failing-over.ts';
import type { Reporting } from './report.ts';

/** What a failover drill has in its hands. */
export interface Drilling extends BegunService<FailoverDrillOrder> {
  undo: Compensations;
  said: DrillSaid;
}

/** What is known so far, for the report of one that fails. */
export interface DrillSaid {
  /** From here on there may be a clone. */
  begun?: true;
  plan?: FailoverPlan;
  switches?: FailoverDrillResult['switches'];
  isolation?: Isolation;
  promotion?: Promotion;
  phases: Partial<FailoverDrillPhases>;
  /** Of the clone as the primary. */
  checks?: Check[];
  /** What shows that nothing of it is left. */
  removed?: Check[];
  /** What shows that production is as it was. */
  untouched?: Check[];
  steps: Said['steps'];
}

/** What the report says beside its events, as far as it is known. */
export function drillTold({ said, order, cluster }: Pick<Drilling, 'said' | 'order' | 'cluster'>): Partial<Reporting> {
  const { plan, promotion, steps } = said;
  const change: ServiceChange = {
    ...{ service: order.service, by: order.by ?? 'its schedule', configHash: cluster.planHash },
    ...(plan ? { from: plan.from, to: plan.to } : {}),
    ...(promotion ? { promotion } : {}),
  };
  return { change, steps, spans: spansOf(said), sections: drillSections(said) };
}

function drillSections(said: DrillSaid): ReportSection[] {
  const { isolation, phases, checks, removed, untouched, switches, plan } = said;
  const rows = (title: string, head: string[], lines: string[][]): ReportSection => ({ title, head, rows: lines });
  const seen = (title: string, found: Check[] | undefined): ReportSection[] =>
    found ? [rows(title, CHECK_HEAD, checkRows(found))] : [];
  const measured = Object.entries(phases).map(([name, ms]) => [PHASES[name as keyof FailoverDrillPhases], formatDuration(ms)]); // prettier-ignore
  return [
    ...(measured.length > 0 ? [rows('Measured', ['', 'took'], measured)] : []),
    ...seen(`Isolation by ${isolation?.by}`, isolation?.checks),
    ...seen('The clone as the primary', checks),
    ...seen('Nothing of the clone is left', removed),
    ...seen('Production is as it was', untouched),
    ...(switches ? [rows('Switches, not moved', ['switch', 'sends', 'would send'], switches.map(({ name, from, to }) => [name, describeTraffic(from), describeTraffic(to)]))] : []), // prettier-ignore
    ...(plan
      ? [
          rows(
            'What a failover would do',
            ['step'],
            plan.steps.map(({ what }) => [what]),
          ),
        ]
      : []),
  ];
}

const PHASES: Readonly<Record<keyof FailoverDrillPhases, string>> = {
  copy: 'copy of the standby',
  start: 'start of the clone',
  promote: 'promotion',
  firstWrite: 'promotion to first write',
  ready: 'promotion to all checks passed',
  remove: 'removal',
};

/** Each node is on its timeline, in its role and with its slots as before. */
export function untouchedChecks(
  nodes: readonly NodeFacts[],
  before: readonly NodeState[],
  after: readonly NodeState[],
): Check[] {
  return nodes.map(({ name }) => {
    const [was, is] = [stateText(stateOf(before, name)), stateText(stateOf(after, name))];
    return { name: `${name} is as it was`, ok: was === is, expected: was, found: is };
  });
}

function stateText({ answers, role, timeline, slots = [] }: NodeState): string {
  if (!answers) return 'does not answer';
  const names = slots.map(({ name }) => name).toSorted();
  return `${role} on timeline ${timeline}, slots: ${names.join(', ') || 'none'}`;
}
