import type { Report } from '../../workflows/model/report.ts';
import type { Head } from './chain.ts';
import { verdictOf } from './figures.ts';
import { markdownFigures, markdownTable } from './markdown.ts';
import { escapeMarkdown, spanText } from './text.ts';

/** What people have to write, and nobody can for them. */
const QUESTIONS: readonly (readonly [title: string, question: string])[] = [
  ['Impact', 'Who noticed, what did not work for them, for how long? What was lost, and whose was it?'],
  ['Causes', 'What set it off, what made it possible, what made it last?'],
  ['What went well', 'What should be so again?'],
  ['What went badly', 'Where did we wait, guess, or get lucky?'],
];

/** A document that begins with what is known, for people to write on in. It is theirs: nothing checks it. */
export function renderPostMortem(report: Report, { count, head }: Head): string {
  const { title, startedAt, run, next = [] } = report;
  const actions = [...next.map((each) => [each, '', '']), ['', '', '']];
  const blocks = [
    `# Post-mortem: ${escapeMarkdown(title)}, ${startedAt.slice(0, 10)}`,
    `Status: draft. ${verdictOf(report)}. Run ${escapeMarkdown(run)}; the report beside this has ${count} events, head \`${head}\`.`,
    markdownFigures(report),
    `## What happened\n\n${markdownTable(['when (UTC)', 'after', 'what'], storyRows(report))}`,
    ...QUESTIONS.map(([name, question]) => `## ${name}\n\n_${question}_`),
    `## Actions\n\n${markdownTable(['what', 'who', 'until'], actions)}`,
  ];
  return `${blocks.filter((block) => block !== '').join('\n\n')}\n`;
}

function storyRows({ events, startedAt }: Report): string[][] {
  const began = Date.parse(startedAt);
  return events.map(({ at, what }) => [at, spanText(Math.max(0, Date.parse(at) - began)), what]);
}
