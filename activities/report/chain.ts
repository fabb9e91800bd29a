import { createPrivateKey, sign } from 'node:crypto';
import type { Report, ReportEvent } from '../../workflows/model/report.ts';
import type { KeyRing } from '../vault/vault.ts';
import { canonicalJson, sha256 } from './canonical.ts';

export interface ChainedEvent extends ReportEvent {
  /** Over the hash of the one before (of the first: over `chain.facts`) and the event itself. */
  hash: string;
}

/** docs/report.md "Chain". */
export interface Chain {
  /** SHA-256 of the report without `events` and `chain`. */
  facts: string;
  count: number;
  /** Hash of the last event. */
  head: string;
  /** SHA-256 of the pages that were written with it. */
  pages: PageHashes;
  /** Fingerprint of the key that signed; absent, as the signature: nobody did. */
  signer?: string;
  /** Ed25519, base64. */
  signature?: string;
}

export interface PageHashes {
  html: string;
  markdown: string;
}

/** A report as it is stored. */
export interface SealedReport extends Omit<Report, 'events'> {
  events: ChainedEvent[];
  chain: Chain;
}

/** How a page names the chain of its report. */
export type Head = Pick<Chain, 'count' | 'head'>;

/** What comes before the first event: a fact that is changed changes every hash behind it. */
export function factsHash({ events: _, chain: __, ...facts }: Report & { chain?: unknown }): string {
  return sha256(canonicalJson(facts));
}

/** Of one event behind the hash of the one before. */
export function eventHash(before: string, event: ReportEvent & { hash?: unknown }): string {
  const { hash: _, ...plain } = event;
  return sha256(`${before}\n${canonicalJson(plain)}`);
}

/** Chains the events of a report. */
export function chainEvents(report: Report): { facts: string; events: ChainedEvent[]; head: string } {
  const facts = factsHash(report);
  let head = facts;
  const events = report.events.map((event) => ({ ...event, hash: (head = eventHash(head, event)) }));
  return { facts, events, head };
}

export function signChain(chain: Chain, signing: KeyRing['signing']): Chain {
  const signed = { ...chain, signer: signing.id };
  const signature = sign(null, signedBytes(signed), createPrivateKey(signing.privatePem));
  return { ...signed, signature: signature.toString('base64') };
}

/** What is signed: a domain, who signs, and all that the rest follows from. */
export function signedBytes({ signer, count, head, pages }: Chain): Buffer {
  return Buffer.from(['lifeboat-report/1', signer ?? '', String(count), head, pages.html, pages.markdown].join('\n'));
}
