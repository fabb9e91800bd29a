import type { FailoverBenchOptions } from './options.ts';
import { PAGE, WANTED_RUNS } from './options.ts';
import type { Phase } from './phases.ts';
import { PHASES } from './phases.ts';
import type { Turn } from './turns.ts';

export type Kind = 'planned' | 'plannedByHand' | 'unplanned' | 'unplannedByHand';

export interface Measured {
  options: FailoverBenchOptions;
  turns: Record<Kind, Turn[]>;
  failures: string[];
  writersMax: number;
  looks: number;
  acknowledged: number;
  postgres: string;
  machine: string;
}

/** Of values, the one below which a share of them lies. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

const outages = (turns: readonly Turn[]): number[] => turns.map(({ outageMs }) => outageMs);
/** Without noticing, which nobody does by hand. */
const behindDetection = (turns: readonly Turn[]): number[] =>
  turns.map(({ outageMs, phases }) => outageMs - (phases?.detect ?? 0));
const lostIn = (turns: readonly Turn[]): number => turns.reduce((sum, { lost }) => sum + lost, 0);

interface Goal {
  what: string;
  wanted: string;
  found: string;
  met: boolean;
}

function addedMs({ turns }: Measured): { planned: number; unplanned: number } {
  return {
    planned: percentile(outages(turns.planned), 0.5) - percentile(outages(turns.plannedByHand), 0.5),
    unplanned: percentile(behindDetection(turns.unplanned), 0.5) - percentile(outages(turns.unplannedByHand), 0.5),
  };
}

function goalsOf(measured: Measured): Goal[] {
  const { turns, writersMax, looks } = measured;
  const most = (what: string, ms: number, limitMs: number): Goal => ({
    ...{ what, wanted: `<= ${seconds(limitMs)}`, found: seconds(ms), met: ms <= limitMs },
  });
  const none = (what: string, lost: number): Goal => ({ what, wanted: '0', found: String(lost), met: lost === 0 });
  const added = addedMs(measured);
  const synchronous = turns.unplanned.filter((turn) => turn.synchronous);
  const others = turns.unplanned.filter((turn) => !turn.synchronous);
  const broken = others.filter(({ lost, quoted = 0 }) => lost > quoted).length;
  return [
    most('added to the bare steps, planned, p50', added.planned, 1500),
    most('added to the bare steps, unplanned, behind detection, p50', added.unplanned, 1500),
    most('write outage, planned, p95', percentile(outages(turns.planned), 0.95), 3000),
    most('write outage, unplanned, by itself, p95', percentile(outages(turns.unplanned), 0.95), 15_000),
    {
      ...{ what: `servers that took writes at once, at most, in ${looks} looks of 50 ms` },
      ...{ wanted: '1', found: String(writersMax), met: writersMax === 1 },
    },
    none('acknowledged orders lost, planned', lostIn(turns.planned)),
    none('acknowledged orders lost, unplanned, synchronous', lostIn(synchronous)),
    {
      what: 'unplanned, asynchronous: runs that lost more than was quoted before',
      ...{ wanted: '0', found: `${broken} (${lostIn(others)} orders lost in all)`, met: broken === 0 },
    },
  ];
}

/** For a program: milliseconds; `met` when all goals are. */
export interface Summary {
  runs: number;
  planned: { p50Ms: number; p95Ms: number; lost: number };
  unplanned: { p50Ms: number; p95Ms: number; detectP50Ms: number; lost: number };
  byHand: { plannedP50Ms: number; unplannedP50Ms: number };
  addedMs: { planned: number; unplanned: number };
  writersMax: number;
  met: boolean;
}

export function summaryOf(measured: Measured): Summary {
  const { turns, writersMax, options } = measured;
  const of = (list: readonly Turn[]): { p50Ms: number; p95Ms: number; lost: number } => ({
    p50Ms: percentile(outages(list), 0.5),
    p95Ms: percentile(outages(list), 0.95),
    lost: lostIn(list),
  });
  return {
    runs: options.runs,
    planned: of(turns.planned),
    unplanned: { ...of(turns.unplanned), detectP50Ms: phaseMs(turns.unplanned, 'detect', 0.5) },
    byHand: { plannedP50Ms: of(turns.plannedByHand).p50Ms, unplannedP50Ms: of(turns.unplannedByHand).p50Ms },
    addedMs: addedMs(measured),
    writersMax,
    met: measured.failures.length === 0 && goalsOf(measured).every(({ met }) => met),
  };
}

export function goals(measured: Measured): string {
  return table(
    ['goal', 'wanted', 'found', 'met'],
    goalsOf(measured).map(({ what, wanted, found, met }) => [what, wanted, found, met ? 'yes' : 'no']),
  );
}

function phaseMs(turns: readonly Turn[], phase: Phase, share: number): number {
  return percentile(turns.map(({ phases }) => phases?.[phase] ?? 0), share); // prettier-ignore
}

const both = (of: (share: number) => number): string => `${seconds(of(0.5))} / ${seconds(of(0.95))}`;

/** Write outages, p50 / p95, and what they are made of. */
export function tables({ turns }: Measured): string {
  const row = (name: string, list: readonly Turn[]): string[] => [
    name,
    both((share) => percentile(outages(list), share)),
    ...PHASES.map((phase) => both((share) => phaseMs(list, phase, share))),
  ];
  const hand = (name: string, list: readonly Turn[]): string[] => {
    const steps = Object.keys(list[0]?.steps ?? {});
    const said = steps.map(
      (step) =>
        `${step} ${both((share) => percentile(list.map((turn) => turn.steps?.[step] ?? 0), share))}`, // prettier-ignore
    );
    return [name, both((share) => percentile(outages(list), share)), said.join(', ')];
  };
  const ours = [row('planned', turns.planned), row('SIGKILL', turns.unplanned)];
  const theirs = [hand('planned', turns.plannedByHand), hand('SIGKILL, known to be dead', turns.unplannedByHand)];
  return `${table(['lifeboat', 'nobody served', ...PHASES], ours)}\n\n${table(['the bare steps', 'nobody served', 'steps'], theirs)}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

function table(head: readonly string[], rows: readonly string[][]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

export function page(measured: Measured): string {
  const { options, failures, machine, postgres, acknowledged } = measured;
  const trial = options.runs < WANTED_RUNS;
  const where = options.page === PAGE || options.page === undefined ? '' : ` --page ${options.page}`;
  return `# Benchmarks of failover

Written by \`npm run bench -- failover --runs ${options.runs}${where}\`; run it on the machine that matters to you. Times are p50 / p95.
${trial ? `\n**A trial**: so few runs show that everything works and nothing else. Figures that count have \`--runs ${WANTED_RUNS}\`, on a machine that does nothing else.\n` : ''}
| | |
| --- | --- |
| machine | ${machine} |
| servers | two of ${postgres} on it, page checksums and \`fsync\` on; Temporal's development server, and three workers |
| load | four clients that write all the time, ${acknowledged} acknowledged orders |
| runs | ${options.runs} of each, in turn |

${goals(measured)}

## How long nobody could write

${tables(measured)}
${failures.length === 0 ? '' : `\n**Not measured to the end**: ${failures.join('; ').replaceAll('\n', ' ')}\n`}
${METHOD}`;
}

const METHOD = `## What is measured

The clients write where a balancer sends them and note each order that a server has acknowledged. Nobody is served from the last order before a change to the
first one behind it: that is the write outage, by their log and by no clock of Lifeboat's. An order that was acknowledged and is not on the new primary is lost. A probe
tries to write to both servers each 50 ms, whatever anybody says of where clients belong.

- **planned**: \`lifeboat failover web --to SITE --planned\`, with \`automatic: [planned]\`, for nobody's thinking is measured. All checks, the epoch, the marker and the proof by
  positions are in it.
- **SIGKILL**: all processes of the primary at once. Nobody orders anything: \`watch\` with its defaults and three observers notices it, the primary is fenced by the worker of its host
  (\`agent-stop\`, confirmed), the loss is quoted, and the standby is promoted. Every second time the standby has acknowledged every commit (\`synchronous_standby_names\`). Only
  \`watch.pause\` and \`watch.flaps\` are not the defaults: they keep more than two failovers in half an hour from starting by themselves.
- **the bare steps**: what a runbook has, by \`pg_ctl\` and SQL: traffic off, \`pg_ctl stop\`, until the standby has the last checkpoint, \`pg_ctl promote\`, traffic on; of a primary that is known
  to be dead the last two. Nothing is looked at before, fenced, proven, quoted or written down. What Lifeboat adds is the difference of the medians, without noticing.

| phase | from |
| --- | --- |
| detect | the last order that was acknowledged, to the start of the run |
| decide | looks at every node, quote of the loss, evidence weighed |
| fence | the old primary quiesced and stopped, or fenced; the candidate frozen |
| promote | asked, to out of recovery |
| verify | all received, a marker written |
| traffic | traffic stopped, and sent to the new primary, to the first order there |

## Beside others

Patroni and pg_auto_failover are not measured here. Patroni comes from PyPI, but brings a store for its lease (etcd, Consul, ZooKeeper) that has to be run, in three places, to be compared fairly; and it
restarts and promotes by a lease of 30 s (\`ttl\`), so that its figure is that setting. pg_auto_failover is an extension of the server and a monitor of its own, packaged for other
versions of PostgreSQL than this one. The bare steps are the bound that holds for all of them.
`;
