import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { suite, test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { findNotifier } from '../../activities/notifiers/index.ts';
import { failureFacts, failureTypeOf, findFailure } from '../../workflows/model/failure.ts';
import { withHttpServer } from '../support/http-server.ts';
import { MESSAGE } from '../support/notifier-message.ts';

const webhook = findNotifier('webhook');

interface Received {
  headers: IncomingMessage['headers'];
  body: string;
}

/** Sends to a server that answers as told, and gives what arrived or the failure. */
async function sendTo(
  answer: (response: ServerResponse, request: IncomingMessage) => void,
  options: Record<string, unknown> = {},
): Promise<{ received: Received[]; error?: unknown; origin: string }> {
  const received: Received[] = [];
  const listener = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    received.push({ headers: request.headers, body });
    answer(response, request);
  };
  return withHttpServer(
    (request, response) => void listener(request, response),
    async (origin) => {
      const error: unknown = await webhook
        .send({ url: `${origin}/hook/token-1`, ...options }, MESSAGE, plainRun())
        .then(
          () => undefined,
          (reason: unknown) => reason,
        );
      return { received, origin, ...(error === undefined ? {} : { error }) };
    },
  );
}

const status =
  (code: number, headers: Record<string, string> = {}) =>
  (response: ServerResponse) =>
    void response.writeHead(code, headers).end('{}');

suite('webhook notifier', () => {
  test('delivers the message as JSON, signed over id, time and body, with its key as idempotency key', async () => {
    process.env['LIFEBOAT_TEST_HOOK'] = 'a shared secret';
    const { received, error } = await sendTo(status(204), { secret: { env: 'LIFEBOAT_TEST_HOOK' } });
    assert.equal(error, undefined);
    const [{ headers, body }] = received as [Received];
    assert.deepEqual(JSON.parse(body), MESSAGE);
    assert.equal(headers['content-type'], 'application/json');
    assert.equal(headers['idempotency-key'], 'wal/shop%20rpo%201');
    assert.equal(headers['webhook-id'], headers['idempotency-key']);
    const signed = `${headers['webhook-id']}.${String(headers['webhook-timestamp'])}.${body}`;
    const expected = createHmac('sha256', 'a shared secret').update(signed).digest('base64');
    assert.equal(headers['webhook-signature'], `v1,${expected}`);
  });

  test('a whsec_ secret is base64, as the receivers’ libraries expect', async () => {
    const key = Buffer.from('0123456789abcdef0123456789abcdef');
    process.env['LIFEBOAT_TEST_HOOK'] = `whsec_${key.toString('base64')}`;
    const { received } = await sendTo(status(200), { secret: { env: 'LIFEBOAT_TEST_HOOK' } });
    const [{ headers, body }] = received as [Received];
    const signed = `${headers['webhook-id']}.${String(headers['webhook-timestamp'])}.${body}`;
    const expected = createHmac('sha256', key).update(signed).digest('base64');
    assert.equal(headers['webhook-signature'], `v1,${expected}`);
  });

  const ANSWERS: [number, string][] = [
    [400, 'ConfigInvalid'],
    [401, 'Denied'],
    [403, 'Denied'],
    [404, 'ConfigInvalid'],
    [409, 'Busy'],
    [429, 'Busy'],
    [500, 'Unavailable'],
    [503, 'Busy'],
    [301, 'ConfigInvalid'],
  ];
  for (const [code, type] of ANSWERS) {
    test(`an answer of ${code} is ${type}`, async () => {
      const { error, received } = await sendTo(status(code, { location: '/elsewhere' }));
      assert.equal(failureTypeOf(error), type);
      assert.equal(failureFacts(error).found, String(code));
      assert.equal(received.length, 1, 'a redirect is not followed and nothing is repeated');
      assert.doesNotMatch(String(error), /token-1/, 'the path may hold a token');
    });
  }

  test('Retry-After is handed on', async () => {
    const { error } = await sendTo(status(429, { 'retry-after': '7' }));
    assert.equal(findFailure(error)?.nextRetryDelay, 7000);
  });

  test('a receiver that never answers is Unavailable after the timeout', async () => {
    const { error } = await sendTo(() => {}, { timeout: '200ms' });
    assert.equal(failureTypeOf(error), 'Unavailable');
    assert.match(String(error), /within 200 ms/);
  });

  test('a receiver that cuts the connection is Unavailable', async () => {
    const { error } = await sendTo((_response, request) => void request.socket.destroy());
    assert.equal(failureTypeOf(error), 'Unavailable');
  });

  test('a body that never ends does not hold the call', async () => {
    const { error } = await sendTo((response) => void response.writeHead(200).write('{'));
    assert.equal(error, undefined);
  });

  test('a closed port is Unavailable and named without its path', async () => {
    const origin = await withHttpServer(
      (_request, response) => status(200)(response),
      async (at) => at,
    );
    const sent = webhook.send({ url: `${origin}/hook/token-1` }, MESSAGE, plainRun());
    await assert.rejects(sent, (error) => {
      assert.equal(failureTypeOf(error), 'Unavailable');
      assert.equal(failureFacts(error).place, origin);
      assert.equal(failureFacts(error).found, 'ECONNREFUSED');
      return true;
    });
  });

  test('cancelling ends the call with the reason given', async () => {
    const stop = new AbortController();
    const listener = (): void => stop.abort(new Error('enough'));
    const sent = withHttpServer(listener, (origin) =>
      webhook.send({ url: origin }, MESSAGE, plainRun({ signal: stop.signal })),
    );
    await assert.rejects(sent, /enough/);
  });

  test('the address itself may be a secret, and then is never shown', async () => {
    await withHttpServer(
      (_request, response) => status(200)(response),
      async (origin) => {
        process.env['LIFEBOAT_TEST_HOOK_URL'] = `${origin}/hook`;
        await webhook.send({ url: { env: 'LIFEBOAT_TEST_HOOK_URL' } }, MESSAGE, plainRun());
      },
    );
    assert.equal(webhook.describe({ url: { env: 'LIFEBOAT_TEST_HOOK_URL' } }), 'a secret address');
    process.env['LIFEBOAT_TEST_HOOK_URL'] = 'ftp://secret.example';
    await assert.rejects(webhook.send({ url: { env: 'LIFEBOAT_TEST_HOOK_URL' } }, MESSAGE, plainRun()), (error) => {
      assert.equal(failureTypeOf(error), 'ConfigInvalid');
      assert.doesNotMatch(String(error), /secret\.example/);
      return true;
    });
  });

  test('an unknown kind names the nearest known one', () => {
    assert.throws(() => findNotifier('webhok'), /write kind: webhook/);
  });
});
