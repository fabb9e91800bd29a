import type { CopyReach } from '../../workflows/model/reachable-map.ts';
import type { Report, ReportSection } from '../../workflows/model/report.ts';
import type { Head } from './chain.ts';
import type { Figure } from './figures.ts';
import { figuresOf, verdictOf } from './figures.ts';
import { pictureOf } from './reach.ts';
import { pictureOfRun } from './run-picture.ts';
import { EVENT_HEAD, eventRows, reachSections, sectionsOf } from './sections.ts';
import { STYLE } from './style.ts';
import { escapeHtml } from './text.ts';
import type { Picture } from './timeline-svg.ts';
import { timelineSvg } from './timeline-svg.ts';

/** What a page shows beside the report that it is made of. */
export interface Beside {
  figures?: Figure[];
  /** Instead of the one picture of the report. */
  pictures?: (Picture & { title: string })[];
}

/** One self-contained page: no script, no request, opens offline and prints. */
export function renderHtml(report: Report, head?: Head, beside: Beside = {}): string {
  const { title, source, run, startedAt, finishedAt, reach = [], links } = report;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title><style>${STYLE}</style></head><body><main>
<span class="verdict ${report.outcome}">${verdictOf(report)}</span>${report.drill ? ' <span class="verdict">Drill</span>' : ''}
<h1>${escapeHtml(title)}</h1>
<p class="under">source <code>${escapeHtml(source)}</code>, run <code>${escapeHtml(run)}</code>, ${escapeHtml(startedAt)} to ${escapeHtml(finishedAt)}</p>
${figures([...(beside.figures ?? []), ...figuresOf(report)])}
${pictures(beside.pictures ?? [{ title: 'Timeline', ...pictureOfRun(report) }])}
${sectionsOf(report).map(section).join('\n')}
<h2>What happened</h2>${headTable(EVENT_HEAD, htmlEvents(report))}
${reach.map(reachSection).join('')}
${links.map((link) => `<p><a href="${escapeHtml(link.url)}">${escapeHtml(link.label)}</a></p>`).join('')}
${head ? `<p class="under">Head of the chain of these ${head.count} events: <code>${head.head}</code>. Check it with <code>lifeboat report verify</code>.</p>` : ''}
</main></body></html>
`;
}

/** The row of each event, as it stands on the page. */
export function htmlEvents(report: Report): string[] {
  return eventRows(report).map((row) => tableRow('td', row));
}

function pictures(list: (Picture & { title: string })[]): string {
  return list
    .map((each) => `<h2>${escapeHtml(each.title)}</h2><div class="picture">${timelineSvg(each)}</div>`)
    .join('\n');
}

function figures(list: Figure[]): string {
  const cells = list.map(
    (f) =>
      `<div class="figure${f.bad ? ' bad' : ''}"><b>${escapeHtml(f.value)}</b><span>${escapeHtml(f.label)}</span></div>`,
  );
  return `<div class="figures">${cells.join('')}</div>`;
}

function section({ title, head, rows }: ReportSection): string {
  return `<h2>${escapeHtml(title)}</h2>${table(head, rows)}`;
}

function reachSection(reach: CopyReach): string {
  const picture = pictureOf(reach);
  const { moments, faults } = reachSections(reach);
  const drawn = picture ? `<div class="picture">${timelineSvg(picture)}</div>` : '';
  return `<h2>${escapeHtml(moments.title)}</h2>${drawn}
${table(moments.head, moments.rows)}${faults ? table(faults.head, faults.rows) : ''}`;
}

function table(head: string[], rows: string[][]): string {
  return headTable(head, rows.map((row) => tableRow('td', row))); // prettier-ignore
}

function headTable(head: string[], rows: string[]): string {
  return `<div class="scroll"><table>${tableRow('th', head)}${rows.join('')}</table></div>`;
}

/** What a check came to is seen before it is read. */
const CLASSES: Record<string, string> = { passed: 'ok', FAILED: 'no' };

function tableRow(tag: 'td' | 'th', row: string[]): string {
  const cells = row.map((cell, index) => {
    const name = index === 0 ? CLASSES[cell] : undefined;
    return `<${tag}${name === undefined ? '' : ` class="${name}"`}>${escapeHtml(cell)}</${tag}>`;
  });
  return `<tr>${cells.join('')}</tr>`;
}
