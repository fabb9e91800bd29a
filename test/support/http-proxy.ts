import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Transform } from 'node:stream';

/** A request as it arrived. */
export interface Seen {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
}

/**
 * pass: through. mute: taken, never answered. answer: this one, without asking the server. reset: cut before the server
 * hears of it. lose-answer: the server does it, and the connection is cut instead of an answer. cut-answer: cut after so
 * many bytes of the answer's body. stall-answer: silent after so many. flip-answer, flip-request: one bit of the body changes.
 */
export type Fate =
  | { kind: 'pass' | 'mute' | 'reset' | 'lose-answer' | 'flip-answer' | 'flip-request' }
  | { kind: 'answer'; status: number; headers?: Record<string, string>; body?: string }
  | { kind: 'cut-answer' | 'stall-answer'; afterBytes: number };

export interface HttpProxy extends AsyncDisposable {
  origin: string;
  seen: Seen[];
  /** Decides what becomes of a request; pass when it says nothing. May be changed at any time. */
  fate: (request: Seen) => Fate | undefined;
  /** Resolves when a request that matches has arrived. */
  arrival(matches: (request: Seen) => boolean): Promise<void>;
}

const PASS: Fate = { kind: 'pass' };

/** Requests of one queue are handed on one after another; undefined is no queue. */
export type QueueOf = (request: Seen) => string | undefined;

/** A proxy on a free port before a server of this host, which records, and does harm where it is told to. */
export async function startHttpProxy(toPort: number, queueOf: QueueOf = () => undefined): Promise<HttpProxy> {
  const queues = new Map<string, Promise<void>>();
  const waiting: { matches: (request: Seen) => boolean; resolve: () => void }[] = [];
  const server = createServer((request, response) => {
    const seen: Seen = { method: request.method ?? '', url: request.url ?? '', headers: request.headers };
    proxy.seen.push(seen);
    for (const one of waiting.filter(({ matches }) => matches(seen))) {
      waiting.splice(waiting.indexOf(one), 1);
      one.resolve();
    }
    request.on('error', () => {});
    const go = (): void => {
      meet(proxy.fate(seen) ?? PASS, { request, response, toPort });
    };
    const queue = queueOf(seen);
    if (queue === undefined) return go();
    const answered = new Promise<void>((resolve) => response.once('close', resolve));
    const before = queues.get(queue) ?? Promise.resolve();
    queues.set(
      queue,
      before.then(() => answered),
    );
    void before.then(go);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy: HttpProxy = {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen: [],
    fate: () => PASS,
    arrival: (matches) => new Promise((resolve) => waiting.push({ matches, resolve })),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return proxy;
}

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  toPort: number;
}

function meet(fate: Fate, { request, response, toPort }: Exchange): void {
  if (fate.kind === 'mute') return;
  if (fate.kind === 'reset') return void request.socket.resetAndDestroy();
  if (fate.kind === 'answer') {
    // As a server does that has heard enough: the rest of the request is read and dropped.
    request.resume().once('end', () => response.writeHead(fate.status, fate.headers).end(fate.body));
    return;
  }
  const { expect: _expect, ...headers } = request.headers;
  const { method, url } = request;
  const options = { host: '127.0.0.1', port: toPort, method, path: url, headers, agent: false as const };
  const onward = httpRequest(options, (answer) => giveBack(fate, answer, response));
  onward.on('error', () => request.socket.resetAndDestroy());
  response.once('close', () => onward.destroy());
  if (fate.kind === 'flip-request') request.pipe(flip()).pipe(onward);
  else request.pipe(onward);
}

function giveBack(fate: Fate, answer: IncomingMessage, response: ServerResponse): void {
  answer.on('error', () => {});
  if (fate.kind === 'lose-answer') {
    answer.resume().once('end', () => response.socket?.resetAndDestroy());
    return;
  }
  response.writeHead(answer.statusCode ?? 502, answer.headers);
  if (fate.kind === 'cut-answer' || fate.kind === 'stall-answer') return partOf(fate, answer, response);
  if (fate.kind === 'flip-answer') answer.pipe(flip()).pipe(response);
  else answer.pipe(response);
}

function partOf(
  fate: { kind: 'cut-answer' | 'stall-answer'; afterBytes: number },
  answer: IncomingMessage,
  response: ServerResponse,
): void {
  let left = fate.afterBytes;
  answer.on('data', (chunk: Buffer) => {
    if (left <= 0) return;
    const piece = chunk.subarray(0, left);
    left -= piece.length;
    response.write(piece, () => {
      if (left <= 0 && fate.kind === 'cut-answer') response.socket?.resetAndDestroy();
    });
  });
}

/** Changes the first bit that passes. */
function flip(): Transform {
  let first = true;
  return new Transform({
    transform(chunk: Buffer, _encoding, done): void {
      const changed = Buffer.from(chunk);
      if (first) changed.writeUInt8(changed.readUInt8(0) ^ 1, 0);
      first = false;
      done(null, changed);
    },
  });
}
