import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { ensureTools } from '../../workers/dev/setup/index.ts';
import { freePort } from '../../activities/io/free-port.ts';

/** A call as it arrived: "ssm", "eu-west-1", "PutParameter". */
export interface Asked {
  service: string;
  region: string;
  action: string;
  url: string;
  body: string;
}

/**
 * What becomes of a call. reset, mute: it is cut, or never answered, before anybody hears of it. lose, hang, garbage: it is
 * done, and the answer is cut off, kept back, or cannot be read. answer: this one, and nothing is done. rewrite: it is done,
 * and told otherwise.
 */
export type Fate =
  | 'reset'
  | 'mute'
  | 'lose'
  | 'hang'
  | 'garbage'
  | { status: number; body: string }
  | { rewrite: (text: string) => string };

/** The simulator of AWS behind a wire that does harm where it is told to. */
export interface Aws extends AsyncDisposable {
  endpoint: string;
  /** Of the simulator itself, without the harm: for whoever sets up and looks. */
  direct: string;
  asked: Asked[];
  /** Decides about each call; nothing said: it goes through. May be changed at any time. */
  fate: (asked: Asked) => Fate | undefined | Promise<Fate | undefined>;
}

export const CREDENTIALS = { accessKeyId: 'lifeboat', secretAccessKey: 'a secret of a test' };

/** How options of a switch name the credentials. */
export function awsOptions(endpoint: string): Record<string, unknown> {
  process.env['LIFEBOAT_TEST_AWS_ID'] = CREDENTIALS.accessKeyId;
  process.env['LIFEBOAT_TEST_AWS_KEY'] = CREDENTIALS.secretAccessKey;
  return { endpoint, accessKeyId: { env: 'LIFEBOAT_TEST_AWS_ID' }, secretAccessKey: { env: 'LIFEBOAT_TEST_AWS_KEY' } };
}

export async function startAws(): Promise<Aws> {
  const port = await freePort();
  const stop = await startMoto(port);
  const server = createServer((request, response) => {
    meet(aws, { request, response, port }).catch(() => request.socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const aws: Aws = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    direct: `http://127.0.0.1:${port}`,
    asked: [],
    fate: () => undefined,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      await stop();
    },
  };
  return aws;
}

async function startMoto(port: number): Promise<() => Promise<void>> {
  const { moto } = await ensureTools(['moto'], { log: () => {} });
  const args = ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)];
  const server = spawn(moto, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  server.stderr.setEncoding('utf8').on('data', (text: string) => (said = `${said}${text}`.slice(-2000)));
  const exited = once(server, 'exit');
  while (!(await answers(port))) {
    if (server.exitCode !== null) throw new Error(`moto ended with ${server.exitCode}: ${said}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return async () => {
    server.kill('SIGKILL');
    await exited;
  };
}

function answers(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/moto-api/`).then(
    ({ ok }) => ok,
    () => false,
  );
}

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  port: number;
}

async function meet(aws: Aws, exchange: Exchange): Promise<void> {
  const { request, response } = exchange;
  request.on('error', () => {});
  const body = await buffer(request);
  const asked = askedOf(request, body.toString('utf8'));
  aws.asked.push(asked);
  const fate = await aws.fate(asked);
  if (fate === 'mute') return;
  if (fate === 'reset') return void request.socket.resetAndDestroy();
  if (typeof fate === 'object' && 'status' in fate)
    return void response.writeHead(fate.status, { 'content-type': typeOf(request) }).end(fate.body);
  const { status, headers, text } = await forward(exchange, body);
  if (fate === 'hang') return;
  if (fate === 'lose') return void request.socket.resetAndDestroy();
  const { 'content-length': _length, 'transfer-encoding': _encoding, ...rest } = headers;
  const told = fate === 'garbage' ? 'well done' : fate === undefined ? text : fate.rewrite(text);
  response.writeHead(status, rest).end(told);
}

function typeOf({ headers }: IncomingMessage): string {
  return headers['x-amz-target'] === undefined ? 'text/xml' : 'application/x-amz-json-1.1';
}

function forward(
  { request, port }: Exchange,
  body: Buffer,
): Promise<{ status: number; headers: IncomingHttpHeaders; text: string }> {
  const { method, url: path, headers } = request;
  return new Promise((resolve, reject) => {
    const onward = httpRequest({ host: '127.0.0.1', port, method, path, headers, agent: false }, (answer) => {
      buffer(answer).then(
        (bytes) => resolve({ status: answer.statusCode ?? 500, headers: answer.headers, text: bytes.toString('utf8') }),
        reject,
      );
    });
    onward.on('error', reject).end(body);
  });
}

function askedOf({ headers, method, url = '' }: IncomingMessage, body: string): Asked {
  const [, region = '', service = ''] =
    /Credential=[^/]+\/\d+\/([^/]+)\/([^/]+)\//.exec(headers.authorization ?? '') ?? [];
  const target = headers['x-amz-target'];
  const action =
    typeof target === 'string'
      ? (target.split('.').at(-1) ?? '')
      : (/(?:^|&)Action=(\w+)/.exec(body)?.[1] ?? restAction(method ?? '', url));
  return { service, region, action, url, body };
}

/** Of Route 53, the one that is asked by method and path. */
function restAction(method: string, url: string): string {
  const [path = ''] = url.split('?');
  if (/\/rrset\/?$/.test(path)) return method === 'POST' ? 'ChangeResourceRecordSets' : 'ListResourceRecordSets';
  if (path.includes('/change/')) return 'GetChange';
  return /\/hostedzone\/[^/]+$/.test(path) ? 'GetHostedZone' : `${method} ${path}`;
}

/** As the services refuse: in JSON or XML. */
export function refusal({ service }: Asked, code: string, status = 400): Fate {
  const isJson = service === 'ssm' || service === 'ecs';
  const error = `<Error><Type>Sender</Type><Code>${code}</Code><Message>refused by the test</Message></Error>`;
  const xml =
    service === 'ec2'
      ? `<Response><Errors>${error}</Errors><RequestID>1</RequestID></Response>`
      : `<ErrorResponse>${error}<RequestId>1</RequestId></ErrorResponse>`;
  return { status, body: isJson ? JSON.stringify({ __type: code, message: 'refused by the test' }) : xml };
}

/** Faults of the contract suite, at the next call of this action. */
export function failOnce(aws: Aws, action: string, fault: 'lost' | 'hang' | 'garbage' | 'busy'): void {
  const before = aws.fate;
  const kinds = { lost: 'lose', hang: 'hang', garbage: 'garbage' } as const;
  aws.fate = async (asked) => {
    if (asked.action !== action) return before(asked);
    aws.fate = before;
    if (fault === 'busy') return refusal(asked, 'ThrottlingException');
    return (await before(asked)) ?? kinds[fault];
  };
}
