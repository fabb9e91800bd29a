import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { findNotifier } from '../../activities/notifiers/index.ts';
import type { Message, Sent } from '../../activities/notifiers/notifier.ts';
import { failureFacts, failureTypeOf } from '../../workflows/model/failure.ts';
import { withHttpServer } from '../support/http-server.ts';
import { messageOf } from '../support/notifier-message.ts';
import type { Receiver } from '../support/notifier-receivers.ts';
import {
  pagerDutyReceiver,
  secretOf,
  slackReceiver,
  statuspageReceiver,
  wholeOf,
} from '../support/notifier-receivers.ts';

function send(kind: string, receiver: Pick<Receiver, 'options'>, changes: Partial<Message> = {}): Promise<Sent> {
  return findNotifier(kind).send(receiver.options, messageOf(changes), plainRun());
}

const typeOf = (type: string, hint: RegExp) => (error: unknown) =>
  failureTypeOf(error) === type && hint.test(failureFacts(error).hint ?? '');

test('slack: messages of a group are one thread, and what looks like markup is text', async () => {
  await using slack = await slackReceiver();
  const { thread } = await send('slack', slack);
  const [first] = slack.posts;
  assert.equal(thread, first?.ts);
  assert.match(first?.text ?? '', /^\*P1\* shop: nothing new .* minutes &lt;!channel&gt; &amp; "more"\n/);
  assert.match(first?.text ?? '', /Objective \*5 min\*\. Üsed: 6 min, at &lt;b&gt;db1&lt;\/b&gt;\.\n_wal\/shop_$/);
  const again = await send('slack', slack, { state: 'over', title: 'it works again', ...(thread ? { thread } : {}) });
  assert.equal(again.thread, thread);
  assert.equal(slack.posts[1]?.thread_ts, thread);
  assert.match(slack.posts[1]?.text ?? '', /^\*over\* it works again\n/);
  // Whoever reads the channel sees what is worse by now; the end of it is for those in the thread.
  await send('slack', slack, { title: 'worse', ...(thread ? { thread } : {}) });
  assert.deepEqual(slack.posts.map((post) => post.reply_broadcast), [undefined, undefined, true]); // prettier-ignore
});

test('slack: a long message is cut between letters, within what Slack shows', async () => {
  await using slack = await slackReceiver();
  await send('slack', slack, { title: `<${'t'.repeat(500)}`, body: '&😀'.repeat(3000) });
  const [{ text } = { text: '' }] = slack.posts;
  assert.ok(text.length <= 4000 && text.length > 3900, `${text.length} letters`);
  assert.match(text, /(&amp;|😀)\.\.\.\n_wal\/shop_$/);
  assert.ok(text.isWellFormed());
});

test('slack: what it says no with is what it means', async () => {
  await using slack = await slackReceiver();
  for (const [error, type, hint] of [
    ['invalid_auth', 'Denied', /token/],
    ['not_in_channel', 'Denied', /invite the bot/],
    ['missing_scope', 'Denied', /chat:write/],
    ['channel_not_found', 'ConfigInvalid', /channel/],
    ['ratelimited', 'Busy', /throttles/],
    ['internal_error', 'Unavailable', /tried again/],
    ['<script>', 'ConfigInvalid', /address/],
  ] as const) {
    slack.say(error);
    await assert.rejects(send('slack', slack), typeOf(type, hint), error);
  }
});

test('slack: an incoming webhook is a secret, and takes each message by itself', async () => {
  const texts: string[] = [];
  const token = '/services/T0/B0/token-of-the-hook';
  await withHttpServer(
    (request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (chunk) => (body += chunk));
      request.on('end', () => {
        texts.push((JSON.parse(body) as { text: string }).text);
        response.writeHead(request.url === token ? 200 : 404).end('ok');
      });
    },
    async (origin) => {
      const url = secretOf(`${origin}${token}`);
      assert.deepEqual(await send('slack', { options: { url } }), {});
      assert.match(texts[0] ?? '', /^\*P1\* shop/);
      const wrong = { url: secretOf(`${origin}${token}-not`) };
      await assert.rejects(send('slack', { options: wrong }), (error: unknown) => {
        assert.doesNotMatch(`${String(error)} ${JSON.stringify(failureFacts(error))}`, /token-of/);
        return failureTypeOf(error) === 'ConfigInvalid';
      });
    },
  );
  assert.equal(findNotifier('slack').describe({ url: { env: 'X' } }), 'an incoming webhook');
});

test('pagerduty: one incident for a group, whoever tells; another one when it is over', async () => {
  await using pager = await pagerDutyReceiver();
  await send('pagerduty', pager);
  await send('pagerduty', pager, { key: 'another', run: 'wal/shop', title: 'still nothing', severity: 'error' });
  const [incident, ...more] = pager.incidents;
  assert.deepEqual(more, []);
  assert.equal(incident?.key, 'lifeboat/mine/wal/shop stream');
  assert.deepEqual(incident?.events.map(({ payload }) => payload?.severity), ['critical', 'error']); // prettier-ignore
  await send('pagerduty', pager, { group: 'mine/backup/shop' });
  assert.equal(pager.open?.(), 2);
  await send('pagerduty', pager, { state: 'acknowledged' });
  assert.deepEqual(pager.incidents.map(({ state }) => state), ['acknowledged', 'triggered']); // prettier-ignore
  await send('pagerduty', pager, { state: 'over' });
  await send('pagerduty', pager);
  assert.deepEqual(pager.incidents.map(({ state }) => state), ['resolved', 'triggered', 'triggered']); // prettier-ignore
});

test('pagerduty: names and texts of any length are within its limits', async () => {
  await using pager = await pagerDutyReceiver();
  const long = { title: '😀'.repeat(2000), group: 'g'.repeat(400) };
  await send('pagerduty', pager, { ...long, body: '"\u0001'.repeat(200_000) });
  await send('pagerduty', pager, { ...long, state: 'over' });
  assert.equal(pager.open?.(), 0);
  assert.equal(pager.incidents.length, 1);
  const [{ events } = { events: [] }] = pager.incidents;
  assert.ok(events[0]?.payload?.summary?.isWellFormed());
});

test('statuspage: one incident in the words of the configuration, and components that are down meanwhile', async () => {
  await using page = await statuspageReceiver();
  const options = { ...page.options, name: 'Orders are slow', texts: { over: 'Orders work again.' } };
  const tell = (changes: Partial<Message> = {}): Promise<Sent> => send('statuspage', { options }, changes);
  await tell();
  await tell({ key: 'another', title: 'still nothing' });
  const [incident, ...more] = page.incidents;
  assert.deepEqual(more, []);
  assert.deepEqual(incident?.bodies, ['We are looking into a problem.']);
  assert.deepEqual([incident?.name, incident?.status], ['Orders are slow', 'investigating']);
  assert.deepEqual([...page.components], [['comp1', 'major_outage'], ['comp2', 'operational']]); // prettier-ignore
  await tell({ state: 'acknowledged' });
  assert.equal(page.incidents[0]?.status, 'identified');
  await tell({ state: 'over' });
  assert.deepEqual([page.incidents[0]?.status, page.incidents[0]?.bodies.at(-1)], ['resolved', 'Orders work again.']);
  assert.equal(page.components.get('comp1'), 'operational');
  assert.doesNotMatch(JSON.stringify(page.incidents), /db1|vault/, 'what runs say is not for everybody');
});

test('statuspage: incidents of others are left alone', async () => {
  await using page = await statuspageReceiver();
  page.incidents.push({ id: 'byhand', name: 'Fire', status: 'investigating', metadata: null, bodies: [] });
  await send('statuspage', page, { group: 'a' });
  await send('statuspage', page, { group: 'b' });
  await send('statuspage', page, { group: 'a', state: 'over' });
  assert.deepEqual(page.incidents.map(({ status }) => status), ['investigating', 'resolved', 'investigating']); // prettier-ignore
  await assert.rejects(
    send('statuspage', { options: { ...page.options, page: 'page2' } }, { group: 'c' }),
    typeOf('ConfigInvalid', /page/),
  );
  await assert.rejects(
    send('statuspage', { options: { ...page.options, components: ['comp9'] } }, { group: 'c' }),
    typeOf('ConfigInvalid', /components/),
  );
});

test('a token that no header can hold is told as such, and not repeated', async () => {
  await using slack = await slackReceiver();
  await using page = await statuspageReceiver();
  for (const [kind, receiver] of [
    ['slack', slack],
    ['statuspage', page],
  ] as const) {
    const options = { ...receiver.options, token: secretOf('token-of-two\nlines') };
    await assert.rejects(send(kind, { options }), (error: unknown) => {
      assert.doesNotMatch(wholeOf(error), /token-of-two/);
      return typeOf('ConfigInvalid', /line ends .* `token`/)(error);
    });
    assert.equal(receiver.calls(), 0);
  }
});

test('a service that answers with something else is not taken for one', async () => {
  await withHttpServer(
    (_request, response) => void response.writeHead(200).end('<html>welcome</html>'),
    async (origin) => {
      const token = secretOf('a token');
      const slack = { token, channel: '#ops', api: origin };
      await assert.rejects(send('slack', { options: slack }), typeOf('ConfigInvalid', /address/));
      const page = { page: 'page1', token, url: origin };
      await assert.rejects(send('statuspage', { options: page }), typeOf('ConfigInvalid', /address/));
    },
  );
});
