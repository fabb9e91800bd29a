import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';
import { findServiceCheck, SERVICE_CHECKS } from '../../activities/checks/index.ts';
import type { CheckedPlace } from '../../activities/checks/index.ts';
import { freePort } from '../../activities/io/free-port.ts';
import { plainRun } from '../../activities/io/run.ts';
import type { Deps } from '../../activities/deps.ts';
import { runChecks } from '../../activities/service.ts';
import type { Check } from '../../workflows/model/recovery.ts';
import { withHttpServer } from '../support/http-server.ts';

const AT: CheckedPlace = { name: 'db-b', host: '127.0.0.1', port: 5432, environment: {} };
const SECRET = 'tOkEn-of-the-test';

/** What a service says whose only check this is. */
async function asked(kind: string, options: object, at: CheckedPlace = AT): Promise<Check> {
  const service = { source: 'shop', checks: [{ name: 'works', kind, options }] };
  const deps = { config: { services: { web: service }, path: 'lifeboat.yml' } } as unknown as Deps;
  const [answer] = await runChecks(deps, { source: 'shop', service: 'web' }, { run: plainRun(), at });
  assert.ok(answer, 'an answer');
  return answer;
}

type Respond = (response: ServerResponse, request: IncomingMessage) => void;

const status =
  (code: number, body = '', headers: Record<string, string> = {}): Respond =>
  (response) =>
    void response.writeHead(code, headers).end(body);
const cut: Respond = (response) => void response.socket?.destroy();
const silent: Respond = () => undefined;
const stuck: Respond = (response) => void response.writeHead(200).write('begun');

const vector = (...values: string[]): string =>
  JSON.stringify({
    ...{ status: 'success' },
    data: { resultType: 'vector', result: values.map((value) => ({ metric: { job: 'web' }, value: [1.5, value] })) },
  });
const scalar = (value: string): string =>
  JSON.stringify({ status: 'success', data: { resultType: 'scalar', result: [1.5, value] } });
const series = JSON.stringify({ status: 'success', data: { resultType: 'matrix', result: [] } });
const refused = JSON.stringify({ status: 'error', errorType: 'bad_data', error: 'invalid parameter "query": parse' });

interface Row {
  name: string;
  respond: Respond;
  options?: object;
  ok: boolean;
  found: RegExp;
}

const HTTP: Row[] = [
  { name: 'it answers 200', respond: status(200), ok: true, found: /^200$/ },
  { name: 'it answers 204 and 200 is wanted', respond: status(204), ok: false, found: /^204$/ },
  { name: 'one of several', respond: status(204), options: { status: [200, 204] }, ok: true, found: /^204$/ },
  { name: 'it answers 500', respond: status(500), ok: false, found: /^500$/ },
  { name: 'it sends elsewhere', respond: status(302, '', { location: '/login' }), ok: false, found: /^302$/ },
  { name: 'the text is there', respond: status(200, 'all is well'), options: { text: 'is w' }, ok: true, found: /^200$/ },
  { name: 'the text is not there', respond: status(200, 'no'), options: { text: 'yes' }, ok: false, found: /200, without it/ },
  { name: 'it hangs up', respond: cut, ok: false, found: /cannot be reached/ },
  { name: 'it is silent', respond: silent, options: { timeout: '200ms' }, ok: false, found: /did not answer within 200 ms/ },
  { name: 'it never ends', respond: stuck, options: { timeout: '200ms', text: 'end' }, ok: false, found: /did not answer within/ },
]; // prettier-ignore

const PROMETHEUS: Row[] = [
  { name: 'below the limit', respond: status(200, vector('0.004')), ok: true, found: /^0\.004$/ },
  { name: 'at the limit', respond: status(200, vector('0.01')), ok: true, found: /^0\.01$/ },
  { name: 'above the limit', respond: status(200, vector('0.0101')), ok: false, found: /^0\.0101$/ },
  { name: 'one of several above it', respond: status(200, vector('0', '1', '0')), ok: false, found: /^1, of 3$/ },
  { name: 'a scalar', respond: status(200, scalar('0')), ok: true, found: /^0$/ },
  { name: 'nothing by nothing', respond: status(200, vector('NaN')), ok: false, found: /^NaN$/ },
  { name: 'without end', respond: status(200, vector('+Inf')), ok: false, found: /^\+Inf$/ },
  { name: 'too little', respond: status(200, vector('3')), options: { most: 9, least: 4 }, ok: false, found: /^3$/ },
  { name: 'no value', respond: status(200, vector()), ok: false, found: /no value/ },
  { name: 'no instant', respond: status(200, series), ok: false, found: /not understood/ },
  { name: 'no JSON', respond: status(200, '<html>'), ok: false, found: /not understood/ },
  { name: 'a query it does not take', respond: status(400, refused), ok: false, found: /^400 invalid parameter "query"/ },
  { name: 'who asks is unknown', respond: status(401), ok: false, found: /answered 401/ },
  { name: 'it hangs up', respond: cut, ok: false, found: /cannot be reached/ },
  { name: 'it is silent', respond: silent, options: { timeout: '200ms' }, ok: false, found: /did not answer within 200 ms/ },
]; // prettier-ignore

const QUERY = 'rate(errors_total{job="web"}[1m]) / rate(requests_total[1m])';

for (const { name, respond, options, ok, found } of HTTP)
  test(`http: ${name}`, () =>
    withHttpServer(
      (request, response) => respond(response, request),
      async (origin) => {
        const answer = await asked('http', { url: `${origin}/health`, ...options });
        assert.deepEqual([answer.name, answer.ok], ['works at db-b', ok], JSON.stringify(answer));
        assert.match(answer.found, found);
      },
    ));

for (const { name, respond, options, ok, found } of PROMETHEUS)
  test(`prometheus: ${name}`, () =>
    withHttpServer(
      (request, response) => respond(response, request),
      async (origin) => {
        const answer = await asked('prometheus', { url: origin, query: QUERY, most: 0.01, ...options });
        assert.equal(answer.ok, ok, JSON.stringify(answer));
        assert.match(answer.found, found);
      },
    ));

test('prometheus: asked is what the file says, below its path, and by its token, which nobody sees', async () => {
  process.env['LIFEBOAT_TEST_TOKEN'] = SECRET;
  const seen: (string | undefined)[] = [];
  const note: Respond = (response, { url, headers }) => {
    seen.push(url, headers.authorization);
    status(403)(response, {} as IncomingMessage);
  };
  await withHttpServer(
    (request, response) => note(response, request),
    async (origin) => {
      const options = { url: `${origin}/prom/`, query: QUERY, most: 1, token: { env: 'LIFEBOAT_TEST_TOKEN' } };
      const answer = await asked('prometheus', options);
      assert.ok(!answer.ok && !JSON.stringify(answer).includes(SECRET), JSON.stringify(answer));
    },
  );
  const [url = '', authorization] = seen;
  const { pathname, searchParams } = new URL(url, 'http://here');
  assert.deepEqual([pathname, searchParams.get('query')], ['/prom/api/v1/query', QUERY]);
  assert.equal(authorization, `Bearer ${SECRET}`);
});

test('nobody listens, no secret, no program: answers, and no failures', async () => {
  const url = `http://127.0.0.1:${await freePort()}`;
  const cases: [string, object, RegExp][] = [
    ['http', { url }, /cannot be reached \(ECONNREFUSED\)/],
    ['prometheus', { url, query: 'up', least: 1 }, /cannot be reached/],
    ['http', { url, token: { env: 'LIFEBOAT_TEST_NOT_SET' } }, /LIFEBOAT_TEST_NOT_SET/],
    ['sql', { user: 'anna', host: '127.0.0.1', port: await freePort() }, /cannot be reached|refused/i],
    ['command', { run: ['/nowhere/check'] }, /\/nowhere\/check/],
    ['command', { run: ['/bin/sh', '-c', 'echo no >&2; exit 3'] }, /exit 3/],
  ];
  for (const [kind, options, found] of cases) {
    const answer = await asked(kind, options);
    assert.equal(answer.ok, false, kind);
    assert.match(answer.found, found);
  }
});

test('of a copy, what asks at an address of its own is left out, and said; what is told the server is asked', async () => {
  const copy = { ...AT, isCopy: true as const };
  const own = { user: 'a', host: 'db.example.org' };
  const left: [string, object][] = [['http', { url: 'http://h' }], ['prometheus', { url: 'http://h', query: 'up', least: 1 }], ['sql', own]]; // prettier-ignore
  for (const [kind, options] of left) {
    const { ok, found } = await asked(kind, options, copy);
    assert.ok(ok && /^left out: it asks (?:http:\/\/h|db\.example\.org:5432), which is no copy$/.test(found), found);
  }
  assert.equal((await asked('command', { run: ['/bin/false'] }, copy)).ok, false);
  assert.equal(findServiceCheck('sql').asks({ user: 'a' }), undefined);
  assert.deepEqual(SERVICE_CHECKS.map(({ kind }) => kind), ['command', 'http', 'sql', 'prometheus']); // prettier-ignore
});
