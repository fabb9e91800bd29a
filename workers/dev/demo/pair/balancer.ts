import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Observed, Traffic } from '../../../../workflows/model/traffic.ts';
import { sameTraffic, trafficProblem } from '../../../../workflows/model/traffic.ts';

/** What clients ask where to go, and the controller that a switch of the kind `http` moves (docs/switches.md). */
export interface Balancer extends AsyncDisposable {
  /** For the switch. */
  url: string;
  /** Where clients are sent now; undefined: nowhere. */
  address(): string | undefined;
  /** What somebody does by hand; undefined: nowhere. */
  send(address: string | undefined): void;
}

interface State extends Observed {
  /** Counts the changes: a strong ETag. */
  version: number;
}

export async function startBalancer(address: string): Promise<Balancer> {
  const state: State = { traffic: { [address]: 100 }, token: 0, version: 1 };
  const server = createServer((request, response) => {
    answer(state, request).then(
      ([status, body]) => say(response, { status, body, version: state.version }),
      () => say(response, { status: 400, body: { problem: 'no order' }, version: state.version }),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/web`,
    address: () => Object.keys(state.traffic)[0],
    send: (to) => {
      state.traffic = to === undefined ? {} : { [to]: 100 };
      state.version += 1;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

type Answer = [status: number, body: object];

async function answer(state: State, request: IncomingMessage): Promise<Answer> {
  if (request.method !== 'PUT') return [200, shown(state)];
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const { traffic, from, token } = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
  if (request.headers['if-match'] !== `"${state.version}"`) return [412, shown(state)];
  if (!Number.isSafeInteger(token) || (token as number) < state.token) return [409, shown(state)];
  const problem = trafficProblem(traffic);
  if (problem !== undefined || !sameTraffic(state.traffic, from as Traffic)) return [422, shown(state)];
  state.traffic = traffic as Traffic;
  state.token = token as number;
  state.version += 1;
  return [200, shown(state)];
}

function shown({ traffic, token }: State): object {
  return { traffic, token };
}

function say(
  response: ServerResponse,
  { status, body, version }: { status: number; body: object; version: number },
): void {
  response.writeHead(status, { 'content-type': 'application/json', etag: `"${version}"` });
  response.end(JSON.stringify(body));
}
