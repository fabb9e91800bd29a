import { forecastText } from '../workflows/model/forecast.ts';
import type { Estimate, Proof, ReachableWindow, RestoreResult, TargetPlace } from '../workflows/model/recovery.ts';
import type { DrillResult, RestorePreview } from '../workflows/model/results.ts';
import { describeLeftOut } from '../workflows/model/partial.ts';
import { PHASES } from '../workflows/model/recovery.ts';
import type { StandbyEvidence } from '../workflows/model/standby.ts';
import { followText } from '../workflows/model/standby.ts';
import { describeTarget } from '../workflows/model/target.ts';
import { formatBytes, formatDuration } from '../workflows/model/units.ts';
import { reportPairs } from './report-pairs.ts';
import { pairLines } from './table.ts';

/** What a recovery was, for a person; the copy of a drill is gone when this is read. */
export function restoreLines(result: RestoreResult, { isGone = false } = {}): string[] {
  const { plan, replay, proof, rtoMs, rtoObjectiveMs } = result;
  const promised = rtoObjectiveMs === undefined ? '' : ` of ${formatDuration(rtoObjectiveMs)} promised`;
  return [
    `${plan.source} is recovered ${plan.standby ? 'as a standby' : `to ${targetText(plan)}`} and proven`,
    ...pairLines([
      ['  from', replay ? `${plan.base.point}, ${formatBytes(replay.walBytes)} of WAL replayed` : dumpText(plan)],
      ['  stopped', replay && `at ${replay.stoppedAtLsn} on timeline ${replay.timeline}: ${replay.stopReason}`],
      ['  newest commit', replay?.lastCommitAt],
      ['  only', onlyText(plan)],
      ['  follows', result.open.follows && followedText(result.open.follows)],
      ...(isGone ? [] : placeLines(result)),
      ['  proof', proofText(proof)],
      ['  RTO', `${formatDuration(rtoMs)}${promised} (${phasesText(result.phases)})`],
    ]),
  ];
}

/** Nobody may take it for the cluster. */
function onlyText({ partial }: RestoreResult['plan']): string | undefined {
  return partial && `database ${partial.database}; NOT ${describeLeftOut(partial.leftOut)}`;
}

/** Where it is now: a copy, or a database of a server that ran before. */
function placeLines({ plan, brought, open, setAside, ...rest }: RestoreResult): [string, string | undefined][] {
  if (!brought) {
    return [
      ['  data', `${open.dataDirectory} on host ${plan.host}`],
      ['  server', serverText({ plan, open, ...rest })],
      ['  set aside', setAside],
    ];
  }
  const { database, server, tables, rows, roles, aside } = brought;
  return [
    ['  brought', `database ${database} on ${server}: ${tables} tables, ${rows} rows, compared`],
    ['  roles made', roles.length > 0 ? roles.join(', ') : undefined],
    ['  set aside', aside],
  ];
}

function followedText({ primary, timeline, markerLsn, replayedLsn }: StandbyEvidence): string {
  const whom = primary === undefined ? 'the vault' : `${primary}, streaming`;
  return `${whom}, on timeline ${timeline}: replayed ${replayedLsn}, behind ${markerLsn} which was asked there before`;
}

function targetText({ dump, base, target }: RestoreResult['plan']): string {
  return dump ? `its dump of ${base.startedAt}` : describeTarget(target);
}

function intoText({ dump, partial, into, host, port }: RestoreResult['plan']): string {
  if (partial?.bring) return `database ${partial.bring.into.name}, by way of ${into} on host ${host}`;
  return dump?.into ? `database ${dump.into.name}` : `${into} on host ${host}, port ${port}`;
}

/** Which dump, and what of it. */
function dumpText({ base, dump }: RestoreResult['plan']): string {
  const only = [dump?.database, dump?.schema, dump?.table].filter((name) => name !== undefined);
  const of = only.length === 0 ? '' : `, only ${only.join(', ')}`;
  return `${base.point}, dumped ${base.startedAt}${of}`;
}

/** What a recovery would be, before a byte moves. */
export function previewLines({ plan, windows, nearest, notes }: RestorePreview): string[] {
  const { estimate } = plan;
  const size = `${formatBytes(estimate.fetchBytes)} of data, ${formatBytes(estimate.walBytes)} of WAL`;
  return [
    `${plan.source} can be recovered to ${targetText(plan)}; nothing was moved`,
    ...pairLines([
      ['  base', `${plan.base.point}, taken ${plan.base.stoppedAt}`],
      ['  target', plan.found && placeText(plan.found)],
      ['  chain', plan.chain && `${plan.chain.length} points, from ${plan.chain[0]}`],
      ...plan.legs.map((leg): [string, string] => [
        '  WAL',
        `${leg.fromLsn} to ${leg.toLsn} on timeline ${leg.timeline}`,
      ]),
      ['  only', onlyText(plan)],
      ['  into', intoText(plan)],
      ['  set aside', plan.setAside],
      ['  then', plan.standby ? followText(plan.standby) : plan.action],
      ['  estimate', `${timeText(estimate)}: ${size}`],
      ['  which rests on', estimate.forecast?.says],
      ['  nearest before', nearest.before?.at],
      ['  nearest after', nearest.after?.at],
    ]),
    ...windowLines(windows),
    ...notes.map((note) => `note: ${note}`),
  ];
}

function timeText({ forecast, seconds }: Estimate): string {
  return forecast ? forecastText(forecast) : formatDuration(seconds * 1000);
}

function placeText({ what, lsn, timeline, at }: TargetPlace): string {
  return `${what} at ${lsn} on timeline ${timeline}${at === undefined ? '' : `, ${at}`}`;
}

/** What a drill found out. */
export function drillLines(drill: DrillResult): string[] {
  const behind =
    drill.rpoMs === undefined ? undefined : `${formatDuration(drill.rpoMs)} of commits would have been lost`;
  return [
    ...restoreLines(drill.restore, { isGone: drill.cleaned }),
    ...pairLines([
      ['  RPO', behind],
      ...drill.objectives.map((each): [string, string] => [
        `  ${each.name} objective`,
        `${formatDuration(each.measuredMs)} of ${formatDuration(each.objectiveMs)}: ${each.ok ? 'kept' : 'MISSED'}`,
      ]),
      ...reportPairs(drill.report),
      ['  copy', drill.cleaned ? 'removed' : 'NOT removed, see the run'],
    ]),
  ];
}

/** Moments that can be reached. */
export function windowLines(windows: readonly ReachableWindow[]): string[] {
  return windows.map(
    (window) =>
      `reachable: ${window.from} to ${window.to ?? 'the end of the backup'} (${window.fromLsn} to ${window.toLsn}, ` +
      `timeline ${window.timeline}, from ${window.point})`,
  );
}

export function proofText({ checks, relations, rows }: Proof): string {
  const good = checks.filter((check) => check.ok).length;
  return `${good} of ${checks.length} checks, ${relations} relations, ${rows} rows`;
}

function serverText({ plan, open }: RestoreResult): string {
  return plan.action === 'shutdown' ? `stopped; its port is ${open.port}` : `${open.host}:${open.port}, ${open.state}`;
}

function phasesText(phases: RestoreResult['phases']): string {
  return PHASES.map((phase) => `${phase} ${formatDuration(phases[phase])}`).join(', ');
}
