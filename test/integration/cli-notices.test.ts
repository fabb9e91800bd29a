import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { stringify } from 'yaml';
import { loadConfig } from '../../activities/config/index.ts';
import { silentLog } from '../../activities/io/run.ts';
import { composeWorkers } from '../../workers/compose.ts';
import type { NotifierTrial } from '../../workflows/model/results.ts';
import { assertRefused } from '../support/bad-input.ts';
import { ask, lines, until } from '../support/cli-ask.ts';
import type { CliWorld } from '../support/cli-world.ts';
import { withCliWorld } from '../support/cli-world.ts';
import { pagerDutyReceiver, secretOf, slackReceiver, statuspageReceiver } from '../support/notifier-receivers.ts';
import { freePort } from '../../activities/io/free-port.ts';
import { smtpReceiver } from '../support/smtp-receiver.ts';
import { testBundle } from '../support/workflow-bundle.ts';

Runtime.install({ logger: { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} } as never });

/** A worker in this process, on a configuration whose every backup fails at once: there is no folder for it. */
async function withWorker(world: CliWorld, notifiers: object, work: () => Promise<void>): Promise<void> {
  const connection = { host: '127.0.0.1', port: 1, user: 'lifeboat', password: { env: 'LIFEBOAT_TEST_UNSET' } };
  const shop = { kind: 'postgres', connection, store: 'local', notify: Object.keys(notifiers) };
  const body = { name: 'mine', stores: { local: { kind: 'filesystem', path: 'vault' } }, notifiers, sources: { shop } };
  const path = await world.writeConfig(stringify(body));
  const config = loadConfig({ path, environment: {} });
  const facts = { config, host: 'test', tool: 'test', log: silentLog, searchAttributes: false };
  const link = await NativeConnection.connect({ address: world.address });
  try {
    const { common } = composeWorkers(facts);
    const worker = await Worker.create({ ...common, connection: link, workflowBundle: await testBundle() });
    await worker.runUntil(work);
  } finally {
    await link.close();
  }
}

test('notify test, messages of a run, and ack: on real receivers', { timeout: 180_000 }, async (t) => {
  await withCliWorld(async (world) => {
    await using pager = await pagerDutyReceiver();
    await using slack = await slackReceiver();
    await using page = await statuspageReceiver();
    await using mail = await smtpReceiver(world.dir);
    const hook = { kind: 'webhook', url: secretOf(`http://127.0.0.1:${await freePort()}/token-of-the-path`) };
    const now = { severities: ['P2'], after: { P2: '0s' } };
    const notifiers = {
      pager: { kind: 'pagerduty', ...pager.options, ...now },
      chat: { kind: 'slack', ...slack.options, ...now },
      page: { kind: 'statuspage', ...page.options, ...now },
      mail: { kind: 'email', ...mail.options, ...now },
      hook,
    };
    await withWorker(world, notifiers, async () => {
      await t.test('notify test: says who was told and who failed, and leaves nothing open', async () => {
        const said = await world.cli(['notify', 'test', '--json']);
        assert.equal(said.code, 10, said.out + said.err);
        const trials = said.json['trials'] as NotifierTrial[];
        assert.deepEqual(trials.map(({ name, failed }) => [name, failed?.type]), [
          ...['pager', 'chat', 'page', 'mail'].map((name) => [name, undefined]),
          ['hook', 'Unavailable'],
        ]); // prettier-ignore
        assert.deepEqual([pager.open?.(), pager.incidents.length], [0, 1]);
        assert.deepEqual([page.open?.(), page.incidents.length], [0, 1]);
        assert.deepEqual([slack.posts.length, mail.mails.length], [2, 2]);
        assert.equal(slack.posts[1]?.thread_ts, slack.posts[0]?.ts);
        for (const { secrets } of [pager, slack, page, mail, { secrets: ['token-of-the-path'] }])
          for (const secret of secrets) assert.ok(!(said.out + said.err).includes(secret), secret);
      });

      await t.test('notify test: one by its name, in words for a person', async () => {
        const text = await lines(world, 'notify', 'test', 'pager');
        assert.match(text, /^told {4}pager \(pagerduty, http:\/\/127\.0\.0\.1:\d+\)\n$/);
        const said = await world.cli(['notify', 'test', 'hook']);
        assert.equal(said.code, 10);
        assert.match(said.out, /^FAILED {2}hook \(webhook, a secret address\): .*ECONNREFUSED\)\n {8}mend: /);
      });

      await t.test('a name that is none, and a run that is none', async () => {
        await assertRefused((more) => world.cli(['notify', 'test', 'pagr', ...more]), {
          ...{ type: 'NotFound', message: /^notifier pagr is not configured on host test/, place: /^notifiers in / },
          ...{ expected: 'one of pager, chat, page, mail, hook', found: 'pagr', next: 'did you mean pager?' },
        });
        await assertRefused((more) => world.cli(['ack', 'backup/none', ...more]), {
          ...{ type: 'NotFound', message: 'run backup/none does not exist', place: 'backup/none' },
          ...{ expected: /./, found: 'none', next: 'lifeboat status' },
        });
      });

      await t.test('a backup that fails: told once to each, acknowledged by name, which all of them hear', async () => {
        const before = { posts: slack.posts.length, mails: mail.mails.length };
        const failed = await world.cli(['backup', 'shop', '--json']);
        assert.equal(failed.code, 4, failed.out);
        await until('everybody is told', async () => {
          const isTold = pager.open?.() === 1 && page.open?.() === 1 && mail.mails.length > before.mails;
          return (isTold && slack.posts.length > before.posts) || undefined;
        });
        assert.match(slack.posts.at(-1)?.text ?? '', /^\*P2\* backup of shop failed\n/);
        const { titles } = await until('what it left takes it', async () => {
          const { code, json } = await world.cli(['ack', 'backup/shop', '--as', 'anna', '--json']);
          return code === 0 ? (json as unknown as { titles: string[] }) : undefined;
        });
        assert.deepEqual(titles, ['backup of shop failed']);
        await until('everybody hears that anna is at it', async () => {
          const states = [pager.incidents.at(-1)?.state, page.incidents.at(-1)?.status];
          const isHeard = states.join() === 'acknowledged,identified' && mail.mails.length === before.mails + 2;
          return (isHeard && slack.posts.length === before.posts + 2) || undefined;
        });
        assert.equal(slack.posts.at(-1)?.thread_ts, slack.posts.at(-2)?.ts);
        await assertRefused((more) => world.cli(['ack', 'backup/shop', ...more]), {
          ...{ type: 'Precondition', message: /told nothing that waits to be acknowledged$/, place: 'backup/shop' },
          ...{ expected: /nobody has acknowledged/, found: 'anna has acknowledged it already' },
          next: 'lifeboat status backup/shop',
        });
      });

      await t.test('what is left open is a run, which can be cancelled', async () => {
        const { run } = await ask<{ run: { status: string } }>(world, 'status', 'notices/backup/shop');
        assert.equal(run.status, 'RUNNING');
        await ask(world, 'cancel', 'notices/backup/shop');
        await until('it has ended', async () => {
          const now = await ask<{ run: { status: string } }>(world, 'status', 'notices/backup/shop');
          return now.run.status !== 'RUNNING' || undefined;
        });
      });
    });
  });
});
