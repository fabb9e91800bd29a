import type { Fact } from './approval.ts';
import type { ClusterFacts, FailoverMode, FenceStep, NodeFacts } from './cluster.ts';
import type { FailoverPlan, PlanStep } from './failover.ts';
import type { Check } from './recovery.ts';
import type { SwitchFacts } from './service.ts';
import { leaveSteps, leftSteps, raiseSteps, sendStep, stopStep } from './traffic-plan.ts';
import { formatBytes, formatDuration } from './units.ts';

export interface PlanQuestion {
  cluster: ClusterFacts;
  mode: FailoverMode;
  from: NodeFacts;
  to: NodeFacts;
  /** In the order in which they are moved. */
  traffic: readonly SwitchFacts[];
  checks: readonly string[];
}

export function planOf(question: PlanQuestion): FailoverPlan {
  const { cluster, mode, from, to } = question;
  const steps = mode === 'planned' ? plannedSteps(question) : unplannedSteps(question);
  return { service: cluster.service, mode, from: from.name, to: to.name, steps };
}

function plannedSteps(question: PlanQuestion): PlanStep[] {
  const { cluster, from, to } = question;
  const { lagBytes, drainMs, outageMs } = cluster.limits;
  return [
    { what: `check ${from.name} and ${to.name}; lag at most ${formatBytes(lagBytes)}` },
    ...raiseSteps(question),
    { what: `write a marker on ${from.name} and read it on ${to.name}` },
    stopStep(question),
    {
      what: `quiesce ${from.name}: read-only, ${formatDuration(drainMs)} for transactions to end, then end sessions`,
      undo: `let ${from.name} write`,
    },
    {
      what: `stop ${from.name} as a standby of ${to.name}, within ${formatDuration(outageMs)}`,
      undo: `start ${from.name} as the primary it was`,
    },
    { what: `prove that ${to.name} has received all that ${from.name} wrote, by its last position` },
    { what: `promote ${to.name}`, pointOfNoReturn: true },
    ...servedSteps(question),
    { what: `start ${from.name} as a standby of ${to.name}, and prove that it follows` },
    ...leaveSteps(question),
  ];
}

function unplannedSteps(question: PlanQuestion): PlanStep[] {
  const { cluster, from, to } = question;
  return [
    { what: `look at ${from.name} from all sides: nobody may see it serve` },
    ...raiseSteps(question),
    stopStep(question),
    { what: `freeze ${to.name}: it receives nothing more`, undo: `let ${to.name} follow again` },
    { what: `fence ${from.name}: ${cluster.fence.map(describeFence).join(', then ')}` },
    { what: 'say what will be lost' },
    { what: 'decide by fence and loss; ask who has to agree' },
    { what: `promote ${to.name}`, pointOfNoReturn: true },
    ...servedSteps(question),
    { what: `keep ${from.name} from serving: it is ended when it comes back, where a watch runs` },
    ...leftSteps(question),
  ];
}

function servedSteps(question: PlanQuestion): PlanStep[] {
  const { cluster, from, to, checks } = question;
  const others = cluster.nodes.map(({ name }) => name).filter((name) => name !== from.name && name !== to.name);
  return [
    { what: `write a marker on ${to.name}, and checkpoint it` },
    ...(others.length > 0 ? [{ what: `let ${others.join(', ')} follow ${to.name}, and prove that it does` }] : []),
    sendStep(question),
    ...(checks.length > 0 ? [{ what: `check the service: ${checks.join(', ')}` }] : []),
  ];
}

export function describeFence(step: FenceStep): string {
  switch (step.by) {
    case 'agent-stop':
      return 'stopped by the worker of its host';
    case 'instance-stop':
      return 'its instance stopped';
    case 'command':
      return step.name;
    case 'traffic':
      return step.confirms ? 'no traffic, which confirms' : 'no traffic';
    case 'lease':
      return `lease of ${formatDuration(step.afterMs)}`;
  }
}

/** What was found and will be done, as those see it who have to agree; what moves by itself is no part of the hash. */
export function factsOfPlan(plan: FailoverPlan, checks: readonly Check[], by: string): Fact[] {
  return [
    {
      name: 'service',
      value: `${plan.service}: ${plan.mode} failover from ${plan.from} to ${plan.to}, started by ${by}`,
    },
    ...checks.map(({ name, ok, found }) => ({
      ...{ name, value: `${ok ? '' : 'NOT: '}${found}` },
      ...(MOVING.has(name) ? { passing: true as const } : {}),
    })),
    ...plan.steps.map(({ what, pointOfNoReturn }, index) => ({
      name: `step ${index + 1}`,
      value: pointOfNoReturn ? `${what} (no way back from here)` : what,
    })),
  ];
}

/** Checks whose findings hold a position, an amount or a witness of the moment: they are made again, not approved. */
const MOVING = new Set([
  ...['exactly one primary', 'candidate', 'lag', 'primary sends', 'no other standby is ahead'],
  ...['primary is gone', 'clocks agree'],
]);
