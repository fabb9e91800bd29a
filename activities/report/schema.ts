import { z } from 'zod';
import { REPORT_KINDS, TONES } from '../../workflows/model/report.ts';

const time = z.iso.datetime().describe('ISO 8601, UTC');
const text = z.string();
const ms = z.number().nonnegative().describe('milliseconds');
const hash = z.string().regex(/^[0-9a-f]{64}$/).describe('SHA-256, hexadecimal'); // prettier-ignore
const check = z.looseObject({ name: text, ok: z.boolean(), expected: text, found: text, detail: text.optional() });
const traffic = z.record(z.string(), z.number()).describe('per cent by address or site; empty: stopped');

const event = z.looseObject({
  at: time,
  lane: text.describe('who'),
  what: text,
  tone: z.enum(TONES),
  hash: hash.describe(
    'over the hash of the event before it, of the first over chain.facts, a newline, and the event without this',
  ),
});

const step = z.looseObject({
  ...{ name: text, from: time, to: time, ms },
  before: z.looseObject({ runs: z.int().min(1), medianMs: ms, longestMs: ms }).optional().describe('the same step in earlier runs that ended well'), // prettier-ignore
});

const change = z
  .looseObject({
    service: text,
    by: text.describe('who started it'),
    mode: z.enum(['planned', 'unplanned']).optional(),
    from: text.optional().describe('node that was the primary'),
    to: text.optional().describe('node that becomes it'),
    epoch: z.int().optional().describe('number of the run'),
    lastSeen: text.optional(),
    breakGlass: text.optional().describe('why the rules were to be broken'),
    plan: z.looseObject({ steps: z.array(z.looseObject({ what: text })) }).optional(),
    planHash: hash.optional().describe('of plan, as canonical JSON'),
    configHash: text.optional(),
    checks: z.array(check).optional(),
    evidence: z.looseObject({ facts: z.array(z.looseObject({ name: text, value: text })), hash }).optional(),
    approvals: z.array(z.looseObject({ by: text, at: time, hash })).optional(),
    fence: z.array(z.looseObject({ step: text, outcome: z.enum(['confirmed', 'unconfirmed', 'impossible']), found: text })).optional(), // prettier-ignore
    zeroLoss: z.looseObject({ ok: z.boolean() }).optional(),
    loss: z.looseObject({ known: z.boolean() }).optional().describe('as quoted before the promotion'),
    lost: z.looseObject({ bytes: z.number(), commits: z.number() }).optional().describe('as measured behind it'),
    promotion: z.looseObject({ node: text, timeline: z.int(), forkLsn: text, at: text }).optional(),
    followers: z.array(z.looseObject({ node: text, ok: z.boolean(), checks: z.array(check) })).optional(),
    traffic: z.array(z.looseObject({ name: text, from: traffic, to: traffic, found: text })).optional(),
  })
  .describe('how a service came by another primary, or a node back to it');

// What is in it is covered by no hash but by the signature, which names each member.
const chain = z.strictObject({
  facts: hash.describe('of the report without events and chain, as canonical JSON'),
  count: z.int().nonnegative(),
  head: hash.describe('hash of the last event; without events: facts'),
  pages: z.strictObject({ html: hash, markdown: hash }).describe('of the files beside this one'),
  signer: z.string().regex(/^[0-9a-f]{16}$/).optional().describe('fingerprint of the key that signed'), // prettier-ignore
  signature: z.string().optional().describe('Ed25519, base64'),
});

/** Of a stored report: docs/report.md. What it does not name may be added within a version. */
export const sealedReportSchema = z
  .looseObject({
    format: z.literal('lifeboat-report/1'),
    kind: z.enum(REPORT_KINDS),
    drill: z.literal(true).optional().describe('a rehearsal: nobody was served by it'),
    title: text,
    source: text,
    run: text.describe('workflow id and run id'),
    outcome: z.enum(['proven', 'failed']),
    startedAt: time,
    finishedAt: time,
    result: z.looseObject({}).optional().describe('of a recovery: as lifeboat restore --json answers it'),
    failure: z.looseObject({ type: text, message: text }).optional(),
    rpoMs: ms.optional().describe('measured'),
    rpoObjectiveMs: ms.optional(),
    rto: z.looseObject({ objectiveMs: ms, elapsedMs: ms, warned: z.boolean(), escalated: z.boolean() }).optional(),
    outage: z.looseObject({ from: time, to: time.optional(), ms: ms.optional() }).optional().describe('nobody was served; without to it was not over'), // prettier-ignore
    change: change.optional(),
    oracle: z.looseObject({ acknowledged: z.int(), found: z.int(), extra: z.int() }).optional(),
    sections: z.array(z.looseObject({ title: text, head: z.array(text), rows: z.array(z.array(text)) })).optional(),
    steps: z.array(step).optional(),
    next: z.array(text).optional().describe('left for people to do'),
    eventsBefore: z.int().optional().describe('events that came before the first one and are not kept'),
    events: z.array(event),
    spans: z.array(z.looseObject({ lane: text, label: text, from: time, to: time, tone: z.enum(TONES) })),
    series: z.array(z.looseObject({ lane: text, label: text, points: z.array(z.looseObject({ at: time, value: z.number() })) })), // prettier-ignore
    links: z.array(z.looseObject({ label: text, url: text })),
    reach: z
      .array(z.looseObject({ copy: text }))
      .optional()
      .describe('what could be restored when it was written'),
    tool: text.optional().describe('version of Lifeboat'),
    host: text.optional().describe('that wrote it'),
    chain,
  })
  .describe('A report of a run of Lifeboat, real or a drill');
