import type { Report, ReportKind } from '../../workflows/model/report.ts';
import type { KeyRing } from '../vault/vault.ts';
import { canonicalJson, sha256, tidied } from './canonical.ts';
import type { Chain, SealedReport } from './chain.ts';
import { chainEvents, signChain } from './chain.ts';
import { renderHtml } from './html.ts';
import { renderMarkdown } from './markdown.ts';
import { renderPostMortem } from './post-mortem.ts';

/** A report in all its forms, which say the same. */
export interface WrittenReport {
  json: string;
  html: string;
  markdown: string;
  /** For people to go on with; absent: there was no incident. */
  postMortem?: string;
  /** Hash of the last event. */
  head: string;
}

/** Runs behind which somebody asks how it came to that. */
const INCIDENTS: readonly ReportKind[] = ['failover', 'failback', 'rejoin', 'recover'];

/** Chains the events of a report, draws its pages, and signs all of it where there is a key. The same report gives the same bytes. */
export function writeForms(given: Report, signing?: KeyRing['signing']): WrittenReport {
  const report = withPlanHash(tidied(given));
  const { facts, events, head } = chainEvents(report);
  const count = events.length;
  const html = renderHtml(report, { count, head });
  const markdown = renderMarkdown(report, { count, head });
  const plain: Chain = { facts, count, head, pages: { html: sha256(html), markdown: sha256(markdown) } };
  const chain = signing ? signChain(plain, signing) : plain;
  const json = jsonOf({ ...report, events, chain });
  const isIncident = INCIDENTS.includes(report.kind) && report.drill !== true;
  return {
    json,
    html,
    markdown,
    head,
    ...(isIncident ? { postMortem: renderPostMortem(report, { count, head }) } : {}),
  };
}

/** The one form in which a report is stored: what another one hides, a name that stands there twice, is in none of it. */
export function jsonOf(sealed: SealedReport): string {
  return `${JSON.stringify(sealed, null, 1)}\n`;
}

function withPlanHash(report: Report): Report {
  const { change } = report;
  if (!change?.plan) return report;
  return { ...report, change: { ...change, planHash: sha256(canonicalJson(change.plan)) } };
}
