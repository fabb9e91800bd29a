import type { Report } from '../../workflows/model/report.ts';
import type { Head } from './chain.ts';
import { figuresOf, verdictOf } from './figures.ts';
import { EVENT_HEAD, eventRows, reachSections, sectionsOf } from './sections.ts';
import { escapeMarkdown } from './text.ts';

/** The same as the page, without its picture, for a wiki or a pull request. */
export function renderMarkdown(report: Report, head?: Head): string {
  const { title, source, run, startedAt, finishedAt, reach = [], links } = report;
  const reached = reach.flatMap((copy) => {
    const { moments, faults } = reachSections(copy);
    return faults ? [moments, faults] : [moments];
  });
  const blocks = [
    `# ${escapeMarkdown(title)}`,
    `**${verdictOf(report)}**${report.drill ? ' (drill)' : ''}: source ${escapeMarkdown(source)}, run ${escapeMarkdown(run)}, ${startedAt} to ${finishedAt}`,
    markdownFigures(report),
    ...sectionsOf(report).map((each) => `## ${escapeMarkdown(each.title)}\n\n${markdownTable(each.head, each.rows)}`),
    `## What happened\n\n${headed(EVENT_HEAD, markdownEvents(report))}`,
    ...reached.map((each) => `## ${escapeMarkdown(each.title)}\n\n${markdownTable(each.head, each.rows)}`),
    ...links.map(({ label, url }) => `${escapeMarkdown(label)}: ${escapeMarkdown(url)}`),
    ...(head
      ? [`Head of the chain of these ${head.count} events: \`${head.head}\`. Check it with \`lifeboat report verify\`.`]
      : []),
  ];
  return `${blocks.filter((block) => block !== '').join('\n\n')}\n`;
}

/** The row of each event, as it stands on the page. */
export function markdownEvents(report: Report): string[] {
  return eventRows(report).map(markdownRow);
}

export function markdownFigures(report: Report): string {
  const rows = figuresOf(report).map(({ value, label, bad }) => [bad ? `${value} (!)` : value, label]);
  return rows.length > 0 ? markdownTable(['', ''], rows) : '';
}

export function markdownTable(head: readonly string[], rows: readonly string[][]): string {
  return headed(head, rows.map(markdownRow));
}

function headed(head: readonly string[], rows: readonly string[]): string {
  return [markdownRow(head), `|${' --- |'.repeat(head.length)}`, ...rows].join('\n');
}

function markdownRow(cells: readonly string[]): string {
  return `| ${cells.map(escapeMarkdown).join(' | ')} |`;
}
