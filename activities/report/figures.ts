import type { RtoForecast } from '../../workflows/model/forecast.ts';
import type { Report } from '../../workflows/model/report.ts';
import { bytesText, spanText } from './text.ts';

/** One number for the head of a report. */
export interface Figure {
  value: string;
  label: string;
  bad?: boolean;
}

/** What somebody wants to know first. */
export function figuresOf(report: Report): Figure[] {
  return [...timeFigures(report), ...lossFigures(report), ...restoreFigures(report)];
}

/** In a few words how it ended. */
export function verdictOf({ kind, outcome, change }: Report): string {
  const well = outcome === 'proven';
  if (kind === 'failover') return failoverVerdict(well, change);
  if (kind === 'rejoin') return well ? 'Follows, and that is proven' : 'Does not follow';
  if (kind === 'failback') return well ? 'Failed back and proven' : 'Not failed back';
  if (kind === 'failover-drill') return well ? 'Drilled and proven' : 'Drill not passed';
  return well ? 'Recovered and proven' : 'Not recovered';
}

/** Whoever reads no more must not take the old primary for the one that is. */
function failoverVerdict(well: boolean, change: Report['change']): string {
  if (well) return 'Failed over and proven';
  const { promotion } = change ?? {};
  if (!promotion) return 'Not failed over';
  return `${promotion.node} is promoted, and not all behind it is done: the old primary must stay down`;
}

function timeFigures({ result, rto, outage }: Report): Figure[] {
  const list: Figure[] = [];
  if (result) list.push(against('RTO', result.rtoMs, result.rtoObjectiveMs));
  else if (rto) list.push(against('RTO', rto.elapsedMs, rto.objectiveMs));
  const forecast = result?.plan.estimate.forecast;
  if (forecast) list.push({ value: spanText(forecast.seconds * 1000), label: forecastLabel(forecast) });
  if (outage?.ms !== undefined) list.push({ value: spanText(outage.ms), label: 'nobody was served' });
  else if (outage) list.push({ value: 'not over', label: `nobody is served since ${outage.from}`, bad: true });
  return list;
}

function lossFigures({ rpoMs, rpoObjectiveMs, oracle, change }: Report): Figure[] {
  const list: Figure[] = [];
  if (rpoMs !== undefined) list.push(against('RPO', rpoMs, rpoObjectiveMs));
  if (change?.loss) {
    const { loss } = change;
    const isOver = !loss.known || (rpoObjectiveMs !== undefined && loss.mostMs > rpoObjectiveMs);
    const value = loss.known ? spanText(loss.mostMs) : 'unknown';
    list.push({ value, label: 'lost at most, as quoted before', bad: isOver });
  }
  if (change?.lost) list.push({ value: `${change.lost.commits} commits`, label: 'lost, as measured behind it' });
  if (oracle) {
    list.push({
      value: `${oracle.found} / ${oracle.acknowledged} / ${oracle.extra}`,
      label: 'rows found / acknowledged / extra',
      bad: oracle.found !== oracle.acknowledged || oracle.extra !== 0,
    });
  }
  return list;
}

function restoreFigures({ result }: Report): Figure[] {
  if (!result) return [];
  const { proof, fetch } = result;
  const passed = proof.checks.filter((check) => check.ok).length;
  return [
    { value: `${passed} of ${proof.checks.length}`, label: 'checks passed', bad: !proof.ok },
    { value: bytesText(fetch.bytes), label: `restored from ${bytesText(fetch.storedBytes)} stored` },
  ];
}

function forecastLabel({ lowSeconds, highSeconds, says }: RtoForecast): string {
  return `forecast, ${spanText(lowSeconds * 1000)} to ${spanText(highSeconds * 1000)}: ${says}`;
}

function against(name: string, ms: number, objectiveMs: number | undefined): Figure {
  if (objectiveMs === undefined) return { value: spanText(ms), label: `${name} measured, no objective declared` };
  return { value: spanText(ms), label: `${name} measured, objective ${spanText(objectiveMs)}`, bad: ms > objectiveMs };
}
