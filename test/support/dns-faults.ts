import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import type { SwitchFault } from './switch-contract.ts';

const UPDATE = 5;
const SERVFAIL = 2;

/** A wire to a name server on which something goes wrong at the next update; questions come through. */
export interface DnsFaults extends AsyncDisposable {
  port: number;
  fail(fault: SwitchFault): void;
  /** Something else happens while the next update is on its way. */
  meanwhile(happens: () => Promise<void>): void;
}

export async function startDnsFaults(target: number): Promise<DnsFaults> {
  let armed: SwitchFault | undefined;
  let happens: (() => Promise<void>) | undefined;
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    let fault: SwitchFault | undefined;
    near.on('data', (bytes) => {
      if (isUpdate(bytes)) {
        fault = armed;
        armed = undefined;
      }
      const first = isUpdate(bytes) ? happens : undefined;
      if (first) happens = undefined;
      if (fault === 'busy') near.write(refusalOf(bytes));
      else void (first?.() ?? Promise.resolve()).then(() => far.write(bytes));
    });
    far.on('data', (bytes) => {
      if (fault === 'lost') near.destroy();
      else if (fault === 'garbage') near.write(Buffer.concat([bytes.subarray(0, -8), Buffer.alloc(8, 0xa5)]));
      else if (fault === undefined) near.write(bytes);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    fail: (fault) => (armed = fault),
    meanwhile: (other) => (happens = other),
    [Symbol.asyncDispose]: async () => {
      sockets.forEach((socket) => socket.destroy());
      server.close();
      await once(server, 'close');
    },
  };
}

/** Each message of ours comes in one piece: two bytes of length, two of the id, then the flags. */
function isUpdate(bytes: Buffer): boolean {
  return bytes.length > 4 && ((bytes.readUInt8(4) >> 3) & 0xf) === UPDATE;
}

/** What an overloaded server says of a message: its header, with nothing in it. */
function refusalOf(message: Buffer): Buffer {
  const answer = Buffer.alloc(14);
  answer.writeUInt16BE(12, 0);
  message.copy(answer, 2, 2, 4);
  answer.writeUInt8(0x80 | (UPDATE << 3), 4);
  answer.writeUInt8(SERVFAIL, 5);
  return answer;
}
