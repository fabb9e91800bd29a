import type { RtoForecast } from '../../workflows/model/forecast.ts';
import type { Report } from '../../workflows/model/report.ts';
import type { Check, RecoveryPlan } from '../../workflows/model/recovery.ts';
import { PHASES } from '../../workflows/model/recovery.ts';
import { followText } from '../../workflows/model/standby.ts';
import { describeTarget } from '../../workflows/model/target.ts';
import type { CopyReach } from '../../workflows/model/reachable-map.ts';
import { pictureOf } from './reach.ts';
import { STYLE } from './style.ts';
import { bytesText, escapeHtml, spanText } from './text.ts';
import { timelineSvg } from './timeline-svg.ts';

/** One self-contained page: no script, no request, opens offline and prints. */
export function renderHtml(report: Report, reach: readonly CopyReach[] = []): string {
  const verdict = verdictOf(report);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(report.title)}</title><style>${STYLE}</style></head><body><main>
<span class="verdict ${report.outcome}">${verdict}</span>
<h1>${escapeHtml(report.title)}</h1>
<p class="under">source <code>${escapeHtml(report.source)}</code>, run <code>${escapeHtml(report.run)}</code>, ${escapeHtml(report.startedAt)} to ${escapeHtml(report.finishedAt)}</p>
${figures(report)}
<h2>Timeline</h2><div class="picture">${timelineSvg(report)}</div>
${failureSection(report)}${ownSections(report)}${phaseSection(report)}${proofSection(report.result?.proof.checks ?? [])}${planSection(report.result?.plan)}
<h2>What happened</h2>${table(
    ['when (UTC)', 'where', 'what'],
    report.events.map((event) => [event.at, event.lane, event.what]),
  )}
${reach.map(reachSection).join('')}
${report.links.map((link) => `<p><a href="${escapeHtml(link.url)}">${escapeHtml(link.label)}</a></p>`).join('')}
</main></body></html>
`;
}

function verdictOf({ kind, outcome }: Report): string {
  const well = outcome === 'proven';
  if (kind === 'failover') return well ? 'Failed over and proven' : 'Not failed over';
  if (kind === 'rejoin') return well ? 'Follows, and that is proven' : 'Does not follow';
  if (kind === 'failback') return well ? 'Failed back and proven' : 'Not failed back';
  return well ? 'Recovered and proven' : 'Not recovered';
}

interface Figure {
  value: string;
  label: string;
  bad?: boolean;
}

function figures(report: Report): string {
  const { result, oracle, rpoMs } = report;
  const list: Figure[] = [];
  if (result) list.push(against('RTO', result.rtoMs, result.rtoObjectiveMs));
  const forecast = result?.plan.estimate.forecast;
  if (forecast) list.push({ value: spanText(forecast.seconds * 1000), label: forecastLabel(forecast) });
  if (rpoMs !== undefined) list.push(against('RPO', rpoMs, report.rpoObjectiveMs));
  if (oracle) {
    const wrong = oracle.found !== oracle.acknowledged || oracle.extra !== 0;
    list.push({
      value: `${oracle.found} / ${oracle.acknowledged} / ${oracle.extra}`,
      label: 'rows found / acknowledged / extra',
      bad: wrong,
    });
  }
  if (result) {
    const passed = result.proof.checks.filter((check) => check.ok).length;
    list.push({ value: `${passed} of ${result.proof.checks.length}`, label: 'checks passed', bad: !result.proof.ok });
    list.push({
      value: bytesText(result.fetch.bytes),
      label: `restored from ${bytesText(result.fetch.storedBytes)} stored`,
    });
  }
  const cells = list.map(
    (f) =>
      `<div class="figure${f.bad ? ' bad' : ''}"><b>${escapeHtml(f.value)}</b><span>${escapeHtml(f.label)}</span></div>`,
  );
  return `<div class="figures">${cells.join('')}</div>`;
}

function forecastLabel({ lowSeconds, highSeconds, says }: RtoForecast): string {
  return `forecast, ${spanText(lowSeconds * 1000)} to ${spanText(highSeconds * 1000)}: ${says}`;
}

function against(name: string, ms: number, objectiveMs: number | undefined): Figure {
  if (objectiveMs === undefined) return { value: spanText(ms), label: `${name} measured, no objective declared` };
  return { value: spanText(ms), label: `${name} measured, objective ${spanText(objectiveMs)}`, bad: ms > objectiveMs };
}

function failureSection(report: Report): string {
  if (!report.failure) return '';
  const { type, message, hint, expected, found } = report.failure;
  const rows = Object.entries({ type, message, expected, found, hint }).flatMap(([name, value]) =>
    value ? [[name, value]] : [],
  );
  return `<h2>Failure</h2>${table(['', ''], rows)}`;
}

function ownSections({ sections = [] }: Report): string {
  return sections.map(({ title, head, rows }) => `<h2>${escapeHtml(title)}</h2>${table(head, rows)}`).join('');
}

function phaseSection(report: Report): string {
  const { result } = report;
  if (!result) return '';
  const rows = PHASES.map((phase) => [
    phase,
    spanText(result.phases[phase]),
    share(result.phases[phase], result.rtoMs),
  ]);
  return `<h2>Recovery time by phase</h2>${table(['phase', 'took', 'share'], rows)}`;
}

function share(part: number, whole: number): string {
  return whole > 0 ? `${Math.round((part / whole) * 100)} %` : '';
}

function proofSection(checks: Check[]): string {
  if (checks.length === 0) return '';
  const rows = checks.map((check) => {
    const cells = [check.name, check.expected, check.detail ? `${check.found} (${check.detail})` : check.found].map(
      escapeHtml,
    );
    return `<tr><td class="${check.ok ? 'ok">passed' : 'no">failed'}</td>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
  });
  return `<h2>Proof</h2><div class="scroll"><table><tr><th></th><th>check</th><th>expected</th><th>found</th></tr>${rows.join('')}</table></div>`;
}

function planSection(plan: RecoveryPlan | undefined): string {
  if (!plan) return '';
  const legs = plan.legs.map((leg) => `timeline ${leg.timeline}: ${leg.fromLsn} to ${leg.toLsn}`).join('; ');
  const rows = [
    ['target', describeTarget(plan.target)],
    ['base backup', `${plan.base.point}, ${plan.base.kind}, ended ${plan.base.stoppedAt} at ${plan.base.stopLsn}`],
    ...(plan.chain ? [['stands on', plan.chain.slice(0, -1).join(', ')]] : []),
    ['cluster', `system ${plan.base.systemId}, PostgreSQL ${plan.base.serverVersion}`],
    ['WAL', legs],
    ['into', `${plan.into} on ${plan.host}, port ${plan.port}`],
    ...(plan.standby ? [['then', followText(plan.standby)]] : []),
    ['reachable window', `${plan.window.from} to ${plan.window.to ?? plan.window.toLsn}`],
  ];
  return `<h2>Plan</h2>${table(['', ''], rows)}`;
}

/** What could be restored when the report was written. */
function reachSection(reach: CopyReach): string {
  const picture = pictureOf(reach);
  const rows = reach.timelines.flatMap(({ timeline, isDefault, times, positions }) =>
    (times.length > 0 ? times : [undefined]).map((span, index) => [
      `${timeline}${isDefault ? ' (followed by default)' : ''}`,
      span ? `${span.from} to ${span.to}` : 'no commit known',
      index === 0 ? positions.map(({ fromLsn, toLsn }) => `${fromLsn} to ${toLsn}`).join(', ') : '',
    ]),
  );
  const faults = [
    ...reach.bases.flatMap(({ point, unusable }) => (unusable === undefined ? [] : [[point, unusable]])),
    ...reach.holes.map(({ timeline, fromLsn, toLsn, bytes }) => [
      `hole on timeline ${timeline}`,
      `${fromLsn} to ${toLsn}, ${bytesText(bytes)}`,
    ]),
    ...reach.damaged.map(({ point, reason }) => [point, `damaged: ${reason}`]),
  ];
  return `<h2>Reachable moments, copy ${escapeHtml(reach.copy)}</h2>${picture ? `<div class="picture">${timelineSvg(picture)}</div>` : ''}
${table(['timeline', 'times (UTC)', 'positions'], rows)}${faults.length > 0 ? table(['fault', ''], faults) : ''}`;
}

function table(head: string[], rows: string[][]): string {
  const cells = (tag: string, row: string[]): string =>
    `<tr>${row.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`;
  return `<div class="scroll"><table>${cells('th', head)}${rows.map((row) => cells('td', row)).join('')}</table></div>`;
}
