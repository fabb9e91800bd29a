import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import type { FailureType } from '../../workflows/model/failure.ts';
import {
  FAILURE_TYPES,
  failure,
  failureFacts,
  failureTypeOf,
  findFailure,
  isFailure,
  isRetryable,
} from '../../workflows/model/failure.ts';

const TYPES = Object.keys(FAILURE_TYPES) as FailureType[];

test('failures: only what may get better is tried again, and Temporal is told so', () => {
  for (const type of TYPES) {
    const made = failure(type, 'thing is wrong');
    assert.equal(made.type, type);
    assert.equal(made.nonRetryable, !FAILURE_TYPES[type].retry);
    assert.equal(isRetryable(made), FAILURE_TYPES[type].retry);
  }
  assert.deepEqual(TYPES.filter((type) => FAILURE_TYPES[type].retry), ['Unavailable', 'Busy']); // prettier-ignore
  assert.equal(isRetryable(new TypeError('x')), false);
});

test('failures: every type has an exit code of its own', () => {
  const codes = TYPES.map((type) => FAILURE_TYPES[type].exitCode);
  assert.equal(new Set(codes).size, codes.length);
  for (const code of codes) assert.ok(code > 2 && code < 126, String(code));
});

test('failures: facts in the details, the next command in the message, evidence behind them', () => {
  const made = failure('Busy', 'slot is in use', {
    ...{ place: 'slot a', expected: 'none', found: 'one', hint: 'lifeboat status', retryAfterMs: 3000 },
    evidence: { pid: 5 },
    cause: new Error('55006'),
  });
  assert.equal(made.message, 'slot is in use (hint: lifeboat status)');
  const facts = { place: 'slot a', expected: 'none', found: 'one', hint: 'lifeboat status' };
  assert.deepEqual(made.details, [facts, { pid: 5 }]);
  assert.deepEqual(failureFacts(made), facts);
  assert.equal(made.nextRetryDelay, 3000);
  assert.equal((made.cause as Error).message, '55006');
  assert.equal(failure('Bug', 'x', { cause: 'text' }).cause, undefined);
});

test('failures: the innermost of ours is found behind what wraps it', () => {
  const inner = failure('Denied', 'role may not replicate');
  const middle = failure('Unavailable', 'source is away', { cause: inner });
  const outer = new ActivityFailure('activity failed', 'streamWal', '1', 'NON_RETRYABLE_FAILURE', 'me', middle);
  assert.equal(findFailure(outer), inner);
  assert.equal(failureTypeOf(outer), 'Denied');
  assert.ok(isFailure(outer, 'Denied') && !isFailure(outer, 'Unavailable'));
});

test('failures: what is not ours is none', () => {
  const foreign = ApplicationFailure.create({ type: 'toString', message: 'x', details: ['text'] });
  for (const error of [foreign, new Error('x'), 'x', undefined, null, {}]) {
    assert.equal(failureTypeOf(error), undefined);
    assert.deepEqual(failureFacts(error), {});
  }
});
