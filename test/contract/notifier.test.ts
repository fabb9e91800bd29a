import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Log } from '../../activities/io/run.ts';
import { plainRun } from '../../activities/io/run.ts';
import { findNotifier, NOTIFIERS } from '../../activities/notifiers/index.ts';
import type { Message } from '../../activities/notifiers/notifier.ts';
import type { FailureType } from '../../workflows/model/failure.ts';
import { failureFacts, failureTypeOf, findFailure } from '../../workflows/model/failure.ts';
import { MESSAGE, messageOf } from '../support/notifier-message.ts';
import type { Fault, Receiver } from '../support/notifier-receivers.ts';
import {
  pagerDutyReceiver,
  slackReceiver,
  statuspageReceiver,
  webhookReceiver,
  wholeOf,
} from '../support/notifier-receivers.ts';
import { smtpReceiver } from '../support/smtp-receiver.ts';
import { withTempDir } from '../support/temp-dir.ts';

/** Where every kind is tried: somebody real who is told, over a real connection. */
const PLACES: Record<string, (dir: string) => Promise<Receiver>> = {
  webhook: webhookReceiver,
  slack: slackReceiver,
  pagerduty: pagerDutyReceiver,
  statuspage: statuspageReceiver,
  email: smtpReceiver,
};

interface Try {
  message?: Message;
  timeout?: string;
  signal?: AbortSignal;
}

interface Tried {
  error: unknown;
  /** Everything that was logged or shown meanwhile. */
  said: string;
}

async function tell(kind: string, receiver: Receiver, use: Try = {}): Promise<Tried> {
  const logged: unknown[] = [];
  const line = (...given: unknown[]): void => void logged.push(given);
  const log: Log = { debug: line, info: line, warn: line, error: line };
  const { message = MESSAGE, timeout, signal } = use;
  const options = { ...receiver.options, ...(timeout === undefined ? {} : { timeout }) };
  const notifier = findNotifier(kind);
  const run = plainRun({ log, progress: line, ...(signal ? { signal } : {}) });
  const error: unknown = await notifier.send(options, message, run).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return { error, said: `${JSON.stringify(logged)}\n${notifier.describe(options)}\n${wholeOf(error)}` };
}

test('every kind of notifier has somebody whom it is tried with', () => {
  assert.deepEqual(NOTIFIERS.map(({ kind }) => kind).sort(), Object.keys(PLACES).sort());
});

/** How each ends the call; and what it is, or one of what it may be. */
const FAULTS: [fault: Fault, types: FailureType[], use: Try][] = [
  ['busy', ['Busy'], {}],
  ['down', ['Unavailable', 'Busy'], {}],
  ['denied', ['Denied'], {}],
  ['refused', ['ConfigInvalid'], {}],
  ['cut', ['Unavailable'], {}],
  ['hang', ['Unavailable'], { timeout: '400ms' }],
  ['late', ['Unavailable'], { timeout: '400ms' }],
  ['lost', ['Unavailable'], {}],
];

for (const [kind, placeIn] of Object.entries(PLACES)) {
  const at = (name: string, work: (receiver: Receiver) => Promise<void>): void => {
    test(`notifier ${kind}: ${name}`, { timeout: 60_000 }, () =>
      withTempDir(async (dir) => {
        await using receiver = await placeIn(dir);
        await work(receiver);
      }),
    );
  };

  at('a message arrives once, and a repeat is recognised where the receiver can tell', async (receiver) => {
    assert.equal((await tell(kind, receiver)).error, undefined);
    assert.equal(receiver.told().length, 1);
    assert.equal((await tell(kind, receiver)).error, undefined);
    assert.equal(receiver.told().length, receiver.tellsRepeats ? 1 : 2);
  });

  at('what is open is acknowledged and then over; a repeat of each does no harm', async (receiver) => {
    for (const state of ['open', 'acknowledged', 'acknowledged', 'over', 'over'] as const) {
      const { error } = await tell(kind, receiver, { message: messageOf({ state, key: `key ${state}` }) });
      assert.equal(error, undefined, wholeOf(error));
      if (receiver.open) assert.equal(receiver.open(), state === 'over' ? 0 : 1, state);
    }
  });

  for (const [fault, types, use] of FAULTS) {
    at(`${fault}: a failure of its own, without a secret; and then it goes well, told once`, async (receiver) => {
      receiver.fail(fault);
      const { error, said } = await tell(kind, receiver, use);
      assert.ok(types.includes(failureTypeOf(error) ?? 'Bug'), wholeOf(error));
      const { place, found, hint } = failureFacts(error);
      assert.equal(place, receiver.place);
      assert.ok(found && hint, wholeOf(error));
      for (const secret of receiver.secrets) assert.ok(!said.includes(secret), `${secret} in ${said}`);
      if (fault === 'hang' || fault === 'late') assert.match(String(error), /within 400 ms/);
      assert.equal((await tell(kind, receiver)).error, undefined);
      const twice = !receiver.tellsRepeats && (fault === 'lost' || fault === 'late');
      assert.equal(receiver.told().length, twice ? 2 : 1);
    });
  }

  at('a redirect is not followed, and a delay that is asked for is kept', async (receiver) => {
    // Mail knows neither.
    if (kind === 'email') return;
    receiver.fail('redirect');
    const before = receiver.calls();
    assert.equal(failureTypeOf((await tell(kind, receiver)).error), 'ConfigInvalid');
    assert.equal(receiver.calls(), before + 1);
    receiver.fail('busy');
    assert.equal(findFailure((await tell(kind, receiver)).error)?.nextRetryDelay, 7000);
  });

  at('cancelling ends the call with the reason given', async (receiver) => {
    const stop = new AbortController();
    receiver.fail('hang');
    receiver.onCall = () => stop.abort(new Error('enough'));
    const { error } = await tell(kind, receiver, { signal: stop.signal });
    assert.equal((error as Error).message, 'enough');
  });

  at('nobody there is Unavailable, and named', async (receiver) => {
    await receiver[Symbol.asyncDispose]();
    const { error, said } = await tell(kind, { ...receiver, [Symbol.asyncDispose]: async () => undefined });
    assert.equal(failureTypeOf(error), 'Unavailable', wholeOf(error));
    assert.equal(failureFacts(error).place, receiver.place);
    for (const secret of receiver.secrets) assert.ok(!said.includes(secret));
  });

  at('a secret that is not there is a mistake in the configuration', async (receiver) => {
    const options = Object.fromEntries(
      Object.entries(receiver.options).map(([key, value]) =>
        typeof value === 'object' && value !== null && 'env' in value
          ? [key, { env: 'LIFEBOAT_TEST_UNSET' }]
          : [key, value],
      ),
    );
    const { error } = await tell(kind, { ...receiver, options });
    assert.equal(failureTypeOf(error), 'ConfigInvalid');
    assert.match(String(error), /LIFEBOAT_TEST_UNSET/);
    assert.equal(receiver.calls(), 0);
  });
}
