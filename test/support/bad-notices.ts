import assert from 'node:assert/strict';
import type { Expected } from './bad-input.ts';

/** What is written instead of the end of a good file, and what is told about it. */
export interface NoticeRow extends Expected {
  name: string;
  change: [from: string, to: string];
}

interface Surroundings {
  /** The end of the good file, which has fifteen lines. */
  end: string;
  next: string;
  at(line: number): RegExp;
}

const TOLD = `notifiers:
  chat: { kind: slack, token: { env: LIFEBOAT_TEST_SECRET }, channel: ops }
  pager: { kind: pagerduty, routingKey: { env: LIFEBOAT_TEST_SECRET } }
  mail: { kind: email, host: localhost, from: a@example.org, to: [b@example.org] }
  page: { kind: statuspage, page: p1, token: { env: LIFEBOAT_TEST_SECRET } }
`;

/** What a notifier, and who is told of what, can be wrong in. */
export function noticeRows({ end, next, at }: Surroundings): NoticeRow[] {
  const rows: [name: string, from: string, to: string, at: string, line: number, expected: RegExp, found: RegExp][] = [
    ['a slack of no place', 'token: { env: LIFEBOAT_TEST_SECRET }, channel: ops', 'channel: ops', 'notifiers.chat', 17, /^either url .* or token and channel$/, /a mapping/],
    ['a token as it is', 'token: { env: LIFEBOAT_TEST_SECRET }, channel', 'token: xoxb-1, channel', 'notifiers.chat.token', 17, /never stands in the file/, /not shown/],
    ['a severity that is none', 'channel: ops', 'channel: ops, severities: [P5]', 'notifiers.chat.severities.0', 17, /P1, P2, P3 or P4/, /"P5"/],
    ['a severity twice', 'channel: ops', 'channel: ops, severities: [P1, P1]', 'notifiers.chat.severities', 17, /each of P1, P2, P3 and P4 once/, /a list of 2/],
    ['no severity', 'channel: ops', 'channel: ops, severities: []', 'notifiers.chat.severities', 17, /at least 1 entries/, /a list of 0/],
    ['a delay without a unit', 'channel: ops', 'channel: ops, after: { P2: "5" }', 'notifiers.chat.after.P2', 17, /a number with a unit/, /"5"/],
    ['a delay of a year', 'channel: ops', 'channel: ops, after: { P2: 365d }', 'notifiers.chat.after.P2', 17, /at most 30d/, /"365d"/],
    ['a delay of what is not told', 'channel: ops', 'channel: ops, after: { P4: 1h }', 'notifiers.chat.after.P4', 17, /one of P1, P2/, /P4/],
    ['a pager without its key', 'routingKey: { env: LIFEBOAT_TEST_SECRET }', 'timeout: 5s', 'notifiers.pager.routingKey', 18, /^a reference/, /nothing/],
    ['an address that is none', 'to: [b@example.org]', 'to: [Ben]', 'notifiers.mail.to.0', 19, /an address like ops@example\.org/, /"Ben"/],
    ['a mail for nobody', 'to: [b@example.org]', 'to: []', 'notifiers.mail.to', 19, /at least 1 entries/, /a list of 0/],
    ['a user without a password', 'host: localhost', 'host: localhost, user: me', 'notifiers.mail', 19, /user and password together/, /a mapping/],
    ['a password in the clear', 'host: localhost', 'host: localhost, tls: none, user: me, password: { env: LIFEBOAT_TEST_SECRET }', 'notifiers.mail', 19, /starttls or implicit/, /a mapping/],
    ['a kind of encryption that is none', 'host: localhost', 'host: localhost, tls: ssl', 'notifiers.mail.tls', 19, /starttls, implicit or none/, /"ssl"/],
    ['a page that is an address', 'page: p1', 'page: https://status.example.org', 'notifiers.page.page', 20, /the id of a page/, /https/],
    ['a status that components do not have', 'page: p1', 'page: p1, componentStatus: broken', 'notifiers.page.componentStatus', 20, /degraded_performance, partial_outage or major_outage/, /"broken"/],
  ]; // prettier-ignore
  const source = (to: string): [string, string] => [end, `timezone: UTC } }\n${to}\n${TOLD}`];
  return [
    ...rows.map(([name, from, to, path, line, expected, found]): NoticeRow => {
      assert.ok(TOLD.includes(from), from);
      const message = new RegExp(`${path.replaceAll('.', '\\.')}: `);
      const change: [string, string] = [end, end + TOLD.replace(from, to)];
      return {
        ...{ name, change, type: 'ConfigInvalid', message, place: at(line) },
        expected,
        found,
        next,
      };
    }),
    {
      ...{ name: 'an escalation to nobody' },
      ...{ change: source('    notify: [chat]\n    escalation: [{ to: bos, after: 15m }]'), type: 'ConfigInvalid' },
      ...{ message: /sources\.shop\.escalation\.0\.to: names a notifier that is not declared/, place: at(17) },
      ...{ expected: 'one of chat, pager, mail, page', found: '"bos"', next },
    },
    {
      ...{ name: 'an escalation of nothing' },
      ...{ change: source('    escalation: [{ to: mail, after: 15m }]'), type: 'ConfigInvalid' },
      ...{ message: /sources\.shop\.escalation: escalates what nobody is told first/, place: at(16) },
      ...{ expected: 'sources.shop.notify', found: 'none', next },
    },
    {
      ...{ name: 'an escalation that falls' },
      ...{ change: source('    notify: [chat]\n    escalation: [{ to: mail, after: 1h }, { to: pager, after: 15m }]') },
      ...{ type: 'ConfigInvalid', message: /sources\.shop\.escalation: is not usable/, place: at(17) },
      ...{ expected: 'rising delays: each counts from the first message', found: 'a list of 2', next },
    },
  ];
}
