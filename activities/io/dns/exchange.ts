import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';

export interface DnsServer {
  host: string;
  port: number;
}

export interface Exchange {
  server: DnsServer;
  transport: 'tcp' | 'udp';
  timeoutMs: number;
  signal: AbortSignal;
}

/** No answer came. */
export class DnsSilence extends Error {
  /** The message may have arrived. */
  readonly sent: boolean;
  readonly timedOut: boolean;

  constructor(what: { sent: boolean; timedOut?: boolean; cause?: unknown }) {
    super('no answer', { cause: what.cause });
    this.sent = what.sent;
    this.timedOut = what.timedOut === true;
  }
}

interface Wire {
  isSent(): boolean;
  close(): void;
}

interface Settle {
  resolve(reply: Buffer): void;
  reject(cause?: unknown): void;
}

/** Sends a message and gives the reply to it; DnsSilence when there is none, the reason of the signal when that ends it. */
export function exchange(message: Buffer, use: Exchange): Promise<Buffer> {
  const { signal, timeoutMs, transport } = use;
  return new Promise<Buffer>((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      wire.close();
    };
    const fail = (error: Error): void => {
      end();
      reject(error);
    };
    const onAbort = (): void => fail(signal.reason as Error);
    const settle: Settle = {
      resolve: (reply) => {
        end();
        resolve(reply);
      },
      reject: (cause) => fail(new DnsSilence({ sent: wire.isSent(), cause })),
    };
    const timer = setTimeout(() => fail(new DnsSilence({ sent: wire.isSent(), timedOut: true })), timeoutMs);
    const wire = transport === 'tcp' ? overTcp(message, use.server, settle) : overUdp(message, use.server, settle);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** RFC 1035, 4.2.2: two bytes of length come first. */
function overTcp(message: Buffer, { host, port }: DnsServer, settle: Settle): Wire {
  const socket = connect({ host, port });
  let isSent = false;
  let received = Buffer.alloc(0);
  socket.once('connect', () => {
    isSent = true;
    const length = Buffer.alloc(2);
    length.writeUInt16BE(message.length);
    socket.write(Buffer.concat([length, message]));
  });
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk]);
    if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
    settle.resolve(received.subarray(2, 2 + received.readUInt16BE(0)));
  });
  socket.on('error', settle.reject);
  socket.once('close', () => settle.reject());
  return { isSent: () => isSent, close: () => void socket.destroy() };
}

/** A datagram with another id is not the answer to ours, whoever sent it. */
function overUdp(message: Buffer, { host, port }: DnsServer, settle: Settle): Wire {
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  let isSent = false;
  let isClosed = false;
  socket.on('message', (reply) => {
    if (reply.length > 2 && reply.readUInt16BE(0) === message.readUInt16BE(0)) settle.resolve(reply);
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    // Nobody listens there: it did not arrive.
    if (error.code === 'ECONNREFUSED') isSent = false;
    settle.reject(error);
  });
  socket.once('connect', () => {
    if (isClosed) return;
    isSent = true;
    socket.send(message);
  });
  // With a callback a connect that fails would call that, and nobody else would hear of it.
  socket.connect(port, host);
  return {
    isSent: () => isSent,
    close: () => {
      if (isClosed) return;
      isClosed = true;
      socket
        .removeAllListeners('message')
        .removeAllListeners('error')
        .on('error', () => undefined);
      socket.close();
    },
  };
}
