import { generateKeyPairSync } from 'node:crypto';
import { publicId, publicPem } from '../../activities/vault/keys/fingerprint.ts';
import type { KeyRing } from '../../activities/vault/vault.ts';
import type { WrittenReport } from '../../activities/report/index.ts';
import { writeForms } from '../../activities/report/index.ts';
import type { ChainedEvent, SealedReport } from '../../activities/report/chain.ts';
import { planOf } from '../../workflows/model/failover-plan.ts';
import type { Report } from '../../workflows/model/report.ts';
import { clusterOf } from './failover-answers.ts';
import { sampleReport } from './sample-report.ts';

export interface Signer {
  signing: KeyRing['signing'];
  trusted: KeyRing['trusted'];
}

export function newSigner(): Signer {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const id = publicId(publicKey);
  return {
    signing: { id, privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string },
    trusted: [{ id, publicPem: publicPem(publicKey) }],
  };
}

const at = (second: number): string => new Date(Date.UTC(2026, 0, 5, 3, 0, 0) + second * 1000).toISOString();

const LB = { name: 'lb', kind: 'command', weighted: false };

/** What a failover says of itself that was not planned and went over its RPO. */
export function failoverReport(): Report {
  const cluster = clusterOf('web');
  const [from, to] = cluster.nodes;
  if (!from || !to) throw new Error('two nodes');
  const hash = 'ab'.repeat(32);
  const { events: _, result: __, oracle: ___, series: ____, ...plain } = sampleReport();
  return {
    ...plain,
    ...{ kind: 'failover', title: 'Failover of web', run: 'failover/web 1', series: [] },
    ...{ rpoMs: undefined as never, rpoObjectiveMs: 10_000, next: ['keep db-a away from every client'] },
    rto: { objectiveMs: 300_000, elapsedMs: 14_000, warned: false, escalated: false },
    outage: { from: at(0), to: at(14), ms: 14_000 },
    spans: [{ lane: 'failover', label: 'promote db-b', from: at(9), to: at(12), tone: 'work' }],
    steps: [
      {
        name: 'stop the traffic',
        from: at(1),
        to: at(3),
        ms: 2000,
        before: { runs: 4, medianMs: 900, longestMs: 1500 },
      },
      { name: 'promote db-b', from: at(9), to: at(12), ms: 3000 },
    ],
    change: {
      ...{ service: 'web', by: 'anna', mode: 'unplanned', from: 'db-a', to: 'db-b', epoch: 7 },
      ...{ breakGlass: 'the site burns', configHash: 'aa'.repeat(8) },
      plan: planOf({ cluster, mode: 'unplanned', from, to, traffic: [LB], checks: [] }),
      evidence: { hash, facts: [{ name: 'RISK', value: 'lost is more than may be' }] },
      approvals: [{ by: 'ben', at: at(8), hash }],
      fence: [
        { step: 'power', outcome: 'unconfirmed', found: 'no answer' },
        { step: 'agent-stop', outcome: 'confirmed', found: 'no server runs' },
      ],
      loss: {
        ...{ known: true, bytes: 4096, mostBytes: 8192, mostMs: 12_000 },
        sample: { at: at(0), timeline: 1, lsn: '0/5000100', bytesPerSecond: 333.3333 },
      },
      lost: { timeline: 1, fromLsn: '0/5000000', endLsn: '0/5001000', bytes: 4096, records: 20, commits: 3 },
      promotion: { node: 'db-b', timeline: 2, oldTimeline: 1, forkLsn: '0/5000000', at: at(12) },
      traffic: [{ name: 'lb', from: { 'db-a:5432': 100 }, to: { 'db-b:5432': 100 }, found: 'a client got there' }],
    },
    events: [
      { at: at(0), lane: 'run', what: 'look at the primary from all sides', tone: 'mark' },
      { at: at(8), lane: 'run', what: 'decision: break-glass | of <two>', tone: 'mark' },
      { at: at(9), lane: 'run', what: 'point of no return', tone: 'wait' },
      { at: at(9), lane: 'run', what: 'promote db-b', tone: 'mark' },
      { at: at(14), lane: 'run', what: 'switch lb: stopped to db-b:5432 100 %\nseen', tone: 'mark' },
    ],
  };
}

/** A report as it was written, to change before it is looked at. */
export function writtenFailover(signer: Signer): WrittenReport {
  return writeForms(failoverReport(), signer.signing);
}

/** The same report with something changed in it, in the form in which reports are stored. */
export function tampered(json: string, change: (sealed: SealedReport) => void): string {
  const sealed = JSON.parse(json) as SealedReport;
  change(sealed);
  return `${JSON.stringify(sealed, null, 1)}\n`;
}

export function eventOf({ events }: SealedReport, number: number): ChainedEvent {
  const event = events[number - 1];
  if (!event) throw new Error(`no event ${number}`);
  return event;
}
