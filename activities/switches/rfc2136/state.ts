import { randomBytes } from 'node:crypto';
import { failure } from '../../../workflows/model/failure.ts';
import type { Observed } from '../../../workflows/model/traffic.ts';
import type { DnsRecord } from '../../io/dns/message.ts';
import { CLASS, TYPE } from '../../io/dns/message.ts';
import { sameName } from '../../io/dns/name.ts';
import { dataText, textData } from '../../io/dns/rdata.ts';
import type { Authority, Change } from './authority.ts';
import { txtNameOf } from './options.ts';
import type { Form } from './records.ts';
import { TYPE_OF, trafficOf } from './records.ts';

/** What the primary server has, at one moment. */
export interface Snapshot extends Observed {
  records: DnsRecord[];
  /** The record that holds the token; one at most. */
  marks: DnsRecord[];
}

const MARK = /^lifeboat token=(\d{1,15}) move=[0-9a-f]+$/;
/** Somebody else moves it between our looks; that does not go on for ever. */
const LOOKS = 5;

/**
 * The record with the token is looked at before and after: each move writes another one, so that what was seen between two
 * equal ones belongs to it.
 */
export async function snapshotOf(form: Form, authority: Authority): Promise<Snapshot> {
  let marks = await marksOf(form, authority);
  for (let look = 0; look < LOOKS; look++) {
    const records = await recordsOf(form, authority);
    const after = await marksOf(form, authority);
    if (markText(after) === markText(marks))
      return { records, marks, traffic: trafficOf(form, records), token: tokenOf(form, marks) };
    marks = after;
  }
  throw failure('Busy', `switch ${form.name}: ${form.options.name} changes while it is looked at`, {
    ...{ place: form.options.name, expected: 'a record that stays for a moment', found: `${LOOKS} changes` },
    hint: 'it is tried again by itself',
  });
}

async function recordsOf(form: Form, authority: Authority): Promise<DnsRecord[]> {
  const { name, type } = form.options;
  const { answers } = await authority.ask(name, TYPE_OF[type]);
  const own = answers.filter((record) => sameName(record.name, name));
  const alias = own.find((record) => record.type === TYPE.CNAME);
  if (alias && type !== 'CNAME') throw isAlias(form);
  return own.filter((record) => record.type === TYPE_OF[type]);
}

function isAlias({ name, options }: Form): Error {
  return failure('ConfigInvalid', `switch ${name}: ${options.name} is a CNAME`, {
    ...{ place: `switches.${name}.type`, expected: `a record of type ${options.type}`, found: 'CNAME' },
    hint: 'write type: CNAME, or name the record that it leads to',
  });
}

async function marksOf(form: Form, authority: Authority): Promise<DnsRecord[]> {
  const name = txtNameOf(form.options);
  const { answers } = await authority.ask(name, TYPE.TXT);
  const marks = answers.filter((record) => record.type === TYPE.TXT && sameName(record.name, name));
  const [first, second] = marks;
  if (second || (first && !MARK.test(dataText(first.data)))) throw isTaken(form, marks);
  return marks;
}

function isTaken(form: Form, marks: readonly DnsRecord[]): Error {
  const name = txtNameOf(form.options);
  return failure('ConfigInvalid', `switch ${form.name}: ${name} has TXT records of somebody else`, {
    ...{ place: name, expected: 'a name for the token alone', found: markText(marks).slice(0, 200) },
    hint: 'give `txtName` a name that is free',
  });
}

function markText(marks: readonly DnsRecord[]): string {
  return marks.map(({ data }) => dataText(data)).join(', ');
}

function tokenOf({ name }: Form, [mark]: readonly DnsRecord[]): number {
  if (!mark) return 0;
  const token = Number(MARK.exec(dataText(mark.data))?.[1]);
  if (Number.isSafeInteger(token)) return token;
  throw failure('Bug', `switch ${name}: a token that is no number`);
}

/** From exactly what was seen to a new token and, where given, new records; all at once, or not at all. */
export function changeFrom(form: Form, seen: Snapshot, to: { token: number; records?: Buffer[] }): Change {
  const { name, type, ttl } = form.options;
  const mark = { name: txtNameOf(form.options), type: TYPE.TXT };
  const target = { name, type: TYPE_OF[type] };
  // The number of the move makes each state another one: a message that comes late fits none.
  const text = `lifeboat token=${to.token} move=${randomBytes(8).toString('hex')}`;
  return {
    prerequisites: unchanged(form, seen),
    updates: [
      ...[removed(mark), added(mark, { ttl: 0, data: textData(text) })],
      ...(to.records ? [removed(target), ...to.records.map((data) => added(target, { ttl: ttl / 1000, data }))] : []),
    ],
  };
}

/** RFC 2136, 2.4.2 and 2.4.3: the set is exactly this one, or there is none. */
export function unchanged({ options }: Form, { records, marks }: Snapshot): DnsRecord[] {
  const sets = [
    { name: options.name, type: TYPE_OF[options.type], records },
    { name: txtNameOf(options), type: TYPE.TXT, records: marks },
  ];
  return sets.flatMap(({ records: has, ...set }): DnsRecord[] =>
    has.length === 0
      ? [{ ...set, class: CLASS.NONE, ttl: 0, data: Buffer.alloc(0) }]
      : has.map(({ data }) => ({ ...set, class: CLASS.IN, ttl: 0, data })),
  );
}

type RecordSet = Pick<DnsRecord, 'name' | 'type'>;

/** RFC 2136, 2.5.2. */
function removed(set: RecordSet): DnsRecord {
  return { ...set, class: CLASS.ANY, ttl: 0, data: Buffer.alloc(0) };
}

/** RFC 2136, 2.5.1. */
function added(set: RecordSet, what: { ttl: number; data: Buffer }): DnsRecord {
  return { ...set, class: CLASS.IN, ...what };
}
