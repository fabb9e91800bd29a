import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { inspect } from 'node:util';
import { plainRun } from '../../activities/io/run.ts';
import { findSwitch } from '../../activities/switches/index.ts';
import { failureFacts, failureTypeOf } from '../../workflows/model/failure.ts';
import type { Traffic } from '../../workflows/model/traffic.ts';
import { withHttpServer } from '../support/http-server.ts';
import type { SwitchFault } from '../support/switch-contract.ts';
import { switchContract } from '../support/switch-contract.ts';

const HOME = { '10.0.0.7:5432': 100 };
const AWAY = { '10.0.0.9:5433': 100 };

interface Asked {
  traffic: Traffic;
  token: number;
}

/** A controller as README describes it, with a fault at the next PUT. */
class Controller {
  state: Asked & { version: number } = { traffic: HOME, token: 0, version: 1 };
  fault: SwitchFault | undefined;
  readonly changes: string[] = [];
  readonly authorizations = new Set<string | undefined>();

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.authorizations.add(request.headers.authorization);
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    if (request.method === 'GET') return this.tell(response);
    const fault = this.fault;
    this.fault = undefined;
    if (fault === 'busy') return void response.writeHead(503, { 'retry-after': '1' }).end();
    const { traffic, token } = JSON.parse(body) as Asked;
    if (request.headers['if-match'] !== `"${this.state.version}"`) return void response.writeHead(412).end();
    if (token < this.state.token) return void response.writeHead(409).end();
    const before = JSON.stringify(this.state.traffic);
    if (before !== JSON.stringify(traffic)) this.changes.push(`${token} ${before} ${JSON.stringify(traffic)}`);
    this.state = { traffic, token, version: this.state.version + 1 };
    if (fault === 'lost') return void request.socket.destroy();
    if (fault === 'garbage') return void response.writeHead(200).end('well done');
    if (fault === undefined) this.tell(response);
  }

  tell(response: ServerResponse): void {
    const { version, ...state } = this.state;
    response.writeHead(200, { etag: `"${version}"` }).end(JSON.stringify(state));
  }
}

const servers: ReturnType<typeof createServer>[] = [];
after(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(controller: Controller): Promise<string> {
  const server = createServer((request, response) => void controller.answer(request, response));
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/web`;
}

process.env['LIFEBOAT_TEST_BEARER'] = 'Bearer a-secret';

switchContract('http', async () => {
  const controller = new Controller();
  const options = { url: await serve(controller), headers: { Authorization: { env: 'LIFEBOAT_TEST_BEARER' } } };
  return {
    ...{ home: HOME, away: AWAY },
    open: ({ signal, timeout } = {}) =>
      findSwitch('http').open(
        'lb',
        { ...options, ...(timeout === undefined ? {} : { timeout }) },
        plainRun(signal ? { signal } : {}),
      ),
    fail: (fault) => {
      controller.fault = fault;
      return Promise.resolve();
    },
    changes: () => Promise.resolve(controller.changes),
  };
});

test('switch http: every call says who asks, and somebody who was faster is not overwritten', async () => {
  const controller = new Controller();
  const url = await serve(controller);
  const headers = { Authorization: { env: 'LIFEBOAT_TEST_BEARER' } };
  await using session = findSwitch('http').open('lb', { url, headers }, plainRun());
  const answer = controller.answer.bind(controller);
  let isFirst = true;
  controller.answer = async (request, response) => {
    // Between the look and the PUT of this session another run has moved it.
    if (request.method === 'PUT' && isFirst) {
      isFirst = false;
      controller.state = { traffic: AWAY, token: 7, version: 99 };
    }
    return answer(request, response);
  };
  const moving = session.move({ from: HOME, to: {}, token: 3 });
  await assert.rejects(moving, (error: unknown) => failureTypeOf(error) === 'Precondition');
  assert.deepEqual(controller.state, { traffic: AWAY, token: 7, version: 99 });
  assert.deepEqual([...controller.authorizations], ['Bearer a-secret']);
});

const answers: {
  name: string;
  status: number;
  headers?: Record<string, string>;
  body: string;
  type: string;
  found: RegExp;
}[] = [
  { name: 'no ETag', status: 200, body: '{"traffic":{},"token":0}', type: 'ConfigInvalid', found: /no ETag/ },
  {
    ...{ name: 'a weak ETag', status: 200, headers: { etag: 'W/"1"' }, body: '{"traffic":{},"token":0}' },
    ...{ type: 'ConfigInvalid', found: /W\/"1"/ },
  },
  {
    name: 'no JSON',
    status: 200,
    headers: { etag: '"1"' },
    body: 'hello',
    type: 'ConfigInvalid',
    found: /no JSON object/,
  },
  {
    ...{
      name: 'more than all',
      status: 200,
      headers: { etag: '"1"' },
      body: '{"traffic":{"a:1":60,"b:1":60},"token":1}',
    },
    ...{ type: 'ConfigInvalid', found: /120 % together/ },
  },
  {
    name: 'no token',
    status: 200,
    headers: { etag: '"1"' },
    body: '{"traffic":{}}',
    type: 'ConfigInvalid',
    found: /nothing/,
  },
  { name: 'a refusal', status: 403, body: '', type: 'Denied', found: /403/ },
  {
    name: 'another address',
    status: 301,
    headers: { location: 'http://10.0.0.1/' },
    body: '',
    type: 'ConfigInvalid',
    found: /301/,
  },
];

for (const { name, status, headers, body, type, found } of answers) {
  test(`switch http: ${name} is refused`, () =>
    withHttpServer(
      (_, response) => void response.writeHead(status, headers).end(body),
      async (origin) => {
        await using session = findSwitch('http').open('lb', { url: `${origin}/web` }, plainRun());
        await assert.rejects(session.where(), (error: unknown) => {
          assert.equal(failureTypeOf(error), type);
          assert.match(failureFacts(error).found ?? '', found);
          return true;
        });
      },
    ));
}

test('switch http: what is not settled is not confirmed, and what is seen has an address of its own', () =>
  withHttpServer(
    ({ url }, response) => {
      const settled = url === '/web';
      response
        .writeHead(200, { etag: '"1"' })
        .end(JSON.stringify({ traffic: HOME, token: 1, settled, note: `${url}` }));
    },
    async (origin) => {
      await using session = findSwitch('http').open('lb', { url: `${origin}/web`, seen: `${origin}/seen` }, plainRun());
      const confirmation = await session.confirm(HOME);
      assert.equal(confirmation.ok, false);
      assert.match(confirmation.found, /10\.0\.0\.7:5432; not settled; \/seen/);
      await using other = findSwitch('http').open('lb', { url: `${origin}/web` }, plainRun());
      assert.equal((await other.confirm(HOME)).ok, true);
    },
  ));

test('http: a secret that no header can hold is not said by the failure', async () => {
  process.env['LIFEBOAT_TEST_BROKEN'] = 'Bearer hush-hush\n';
  const headers = { Authorization: { env: 'LIFEBOAT_TEST_BROKEN' } };
  await using session = findSwitch('http').open('lb', { url: 'http://127.0.0.1:1/', headers }, plainRun());
  await assert.rejects(session.where(), (error) => {
    assert.equal(failureTypeOf(error), 'ConfigInvalid');
    assert.doesNotMatch(inspect(error, { depth: 9 }), /hush-hush/);
    return true;
  });
});
