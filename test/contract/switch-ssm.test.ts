import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { inspect } from 'node:util';
import { GetParameterHistoryCommand, PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { plainRun } from '../../activities/io/run.ts';
import { findSwitch } from '../../activities/switches/index.ts';
import type { SwitchSession } from '../../activities/switches/switch.ts';
import { failureFacts, failureTypeOf } from '../../workflows/model/failure.ts';
import { STOPPED } from '../../workflows/model/traffic.ts';
import type { Aws } from '../support/aws.ts';
import { awsOptions, CREDENTIALS, failOnce, refusal, startAws } from '../support/aws.ts';
import { switchContract } from '../support/switch-contract.ts';

const REGION = 'eu-west-1';
const HOME = { dc1: 100 };
const AWAY = { dc2: 100 };

let aws: Aws;
let owner: SSMClient;
let parameter = '';
let parameters = 0;

before(async () => {
  aws = await startAws();
  owner = new SSMClient({ endpoint: aws.direct, region: REGION, credentials: CREDENTIALS });
});

after(async () => {
  owner.destroy();
  await aws[Symbol.asyncDispose]();
});

async function newParameter(): Promise<void> {
  aws.fate = () => undefined;
  parameter = `/shop/active-site-${(parameters += 1)}`;
  const Description = 'where the shop is';
  await owner.send(new PutParameterCommand({ Name: parameter, Value: 'dc1', Type: 'String', Description }));
}

/** As a person does it by hand, who knows nothing of tokens. */
async function put(value: string): Promise<void> {
  await owner.send(new PutParameterCommand({ Name: parameter, Value: value, Overwrite: true }));
}

async function history(): Promise<{ value: string; description: string }[]> {
  const { Parameters } = await owner.send(new GetParameterHistoryCommand({ Name: parameter }));
  return (Parameters ?? []).map(({ Value = '', Description = '' }) => ({ value: Value, description: Description }));
}

function open(options: object = {}, signal?: AbortSignal): SwitchSession {
  const own = { parameter, region: REGION, sites: ['dc1', 'dc2'], ...awsOptions(aws.endpoint) };
  return findSwitch('ssm').open('active', { ...own, ...options }, plainRun(signal ? { signal } : {}));
}

switchContract('ssm', async () => {
  await newParameter();
  return {
    ...{ home: HOME, away: AWAY },
    open: ({ signal, timeout } = {}) => open(timeout === undefined ? {} : { timeout }, signal),
    fail: (fault) => Promise.resolve(failOnce(aws, 'PutParameter', fault)),
    changes: async () => {
      const values = (await history()).map(({ value }) => value);
      return values.flatMap((value, at) => (at === 0 || value === values[at - 1] ? [] : [value]));
    },
  };
});

const typeOf = (type: string) => (error: unknown) => failureTypeOf(error) === type;

test('ssm: readers get the plain name of the site, and the number stands behind what a person described', async () => {
  await newParameter();
  await using session = open();
  await session.move({ from: HOME, to: AWAY, token: 6 });
  assert.deepEqual((await history()).at(-1), { value: 'dc2', description: 'where the shop is [lifeboat token 6]' });
  await session.move({ from: AWAY, to: STOPPED, token: 7 });
  assert.deepEqual((await history()).at(-1), { value: 'none', description: 'where the shop is [lifeboat token 7]' });
  assert.match((await session.confirm(STOPPED)).found, /^none, version 3$/);
});

test('ssm: what somebody sets by hand is seen, and takes no number away', async () => {
  await newParameter();
  await using session = open();
  await session.move({ from: HOME, to: AWAY, token: 6 });
  await put('dc1');
  assert.deepEqual(await session.where(), { traffic: HOME, token: 6 });
  await assert.rejects(session.move({ from: HOME, to: AWAY, token: 5 }), typeOf('Precondition'));
  await put('dc9');
  await assert.rejects(session.where(), typeOf('Precondition'));
});

test('ssm: a newer run that writes at the same moment is written over, and stands again', async () => {
  await newParameter();
  await using late = open();
  await using newer = open();
  let isFirst = true;
  aws.fate = async ({ action }) => {
    if (action !== 'PutParameter' || !isFirst) return undefined;
    isFirst = false;
    await newer.move({ from: HOME, to: STOPPED, token: 8 });
    return undefined;
  };
  await assert.rejects(late.move({ from: HOME, to: AWAY, token: 6 }), typeOf('Precondition'));
  assert.deepEqual(await newer.where(), { traffic: STOPPED, token: 8 });
  assert.deepEqual(
    (await history()).map(({ value }) => value),
    ['dc1', 'none', 'dc2', 'none'],
  );
});

test('ssm: what an older run wrote over a newer one, and died behind it, is taken back by its repeat, or by whoever moves next', async () => {
  for (const repeats of ['the older one', 'a newer one'] as const) {
    await newParameter();
    await using late = open();
    await using newer = open();
    let state: 'before' | 'written' | 'dead' = 'before';
    aws.fate = async ({ action }) => {
      if (action === 'PutParameter' && state === 'before') {
        state = 'written';
        await newer.move({ from: HOME, to: STOPPED, token: 8 });
        state = 'dead';
      } else if (state === 'dead') return 'reset';
      return undefined;
    };
    await assert.rejects(late.move({ from: HOME, to: AWAY, token: 6 }));
    aws.fate = () => undefined;
    assert.deepEqual((await history()).at(-1)?.value, 'dc2', 'the older one has the last word');
    if (repeats === 'the older one') {
      await assert.rejects(late.move({ from: HOME, to: AWAY, token: 6 }), typeOf('Precondition'));
      assert.deepEqual(await newer.where(), { traffic: STOPPED, token: 8 });
    } else {
      await newer.move({ from: STOPPED, to: AWAY, token: 9 });
      assert.deepEqual(await newer.where(), { traffic: AWAY, token: 9 });
    }
    const { length } = (await history()).filter(({ value }) => value === 'none');
    assert.equal(length, 2, 'what stood before it stands again, before anything is moved');
  }
});

test('ssm: a person who writes at the same moment is not written over for good', async () => {
  await newParameter();
  await using session = open();
  aws.fate = async ({ action }) => {
    if (action !== 'PutParameter') return undefined;
    aws.fate = () => undefined;
    await put('none');
    return undefined;
  };
  await assert.rejects(session.move({ from: HOME, to: AWAY, token: 6 }), typeOf('Precondition'));
  assert.deepEqual((await session.where()).traffic, STOPPED);
});

test('ssm: a history of many pages is read to its end', async () => {
  await newParameter();
  for (let time = 0; time < 60; time++) await put(time % 2 === 0 ? 'dc2' : 'dc1');
  await using session = open();
  assert.deepEqual(await session.where(), { traffic: HOME, token: 0 });
  await session.move({ from: HOME, to: AWAY, token: 2 });
  assert.deepEqual(await session.where(), { traffic: AWAY, token: 2 });
});

test('ssm: a refusal is told by what it means, with the right that is missing', async () => {
  await newParameter();
  await using session = open();
  for (const [code, type] of [
    ['AccessDeniedException', 'Denied'],
    ['ThrottlingException', 'Busy'],
    ['TooManyUpdates', 'Busy'],
    ['ParameterMaxVersionLimitExceeded', 'Precondition'],
    ['ParameterPatternMismatchException', 'ConfigInvalid'],
  ] as const) {
    aws.fate = (asked) => (asked.action === 'PutParameter' ? refusal(asked, code) : undefined);
    await assert.rejects(session.move({ from: HOME, to: AWAY, token: 2 }), (error: unknown) => {
      assert.equal(failureTypeOf(error), type, code);
      assert.match(failureFacts(error).hint ?? '', type === 'Denied' ? /allow ssm:PutParameter to/ : /./);
      return true;
    });
  }
  aws.fate = ({ region }) => (region === REGION ? 'reset' : undefined);
  await assert.rejects(session.where(), typeOf('Unavailable'));
  aws.fate = () => undefined;
  await using absent = open({ parameter: '/no/such' });
  await assert.rejects(absent.where(), typeOf('NotFound'));
  await assert.rejects(session.move({ from: HOME, to: { dc2: 50 }, token: 2 }), typeOf('ConfigInvalid'));
  await assert.rejects(session.move({ from: HOME, to: { dc3: 100 }, token: 2 }), typeOf('ConfigInvalid'));
});

test('ssm: the value of a parameter that is no place is not said, for it may be a secret', async () => {
  await newParameter();
  await put('hush-hush');
  await using session = open();
  await assert.rejects(session.where(), (error: unknown) => {
    assert.equal(failureTypeOf(error), 'Precondition');
    assert.doesNotMatch(inspect(error, { depth: 9 }), /hush-hush/);
    return true;
  });
});
