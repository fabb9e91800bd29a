import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv4 } from 'node:net';

/** One record of an answer. */
export interface Said {
  type: 'A' | 'AAAA' | 'CNAME';
  ttl: number;
  value: string;
}

export interface DnsResponder extends AsyncDisposable {
  /** "127.0.0.1:port", as a resolver is named. */
  address: string;
}

const TYPES = { A: 1, CNAME: 5, AAAA: 28 } as const;
const NXDOMAIN = 3;
const HEADER_BYTES = 12;

/** A DNS server on a free port that says what it is told to; a name without records does not exist. */
export async function startDnsResponder(
  answer: (name: string, type: Said['type']) => Promise<Said[]>,
): Promise<DnsResponder> {
  const socket = createSocket('udp4');
  socket.on('message', (query, from) => {
    const { name, end } = readName(query);
    const code = query.readUInt16BE(end);
    const type = (Object.keys(TYPES) as Said['type'][]).find((each) => TYPES[each] === code);
    const said = type === undefined ? Promise.resolve([]) : answer(name, type);
    void said.then((records) => socket.send(reply(query.subarray(0, end + 4), records), from.port, from.address));
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    address: `127.0.0.1:${socket.address().port}`,
    [Symbol.asyncDispose]: async () => {
      const closed = once(socket, 'close');
      socket.close();
      await closed;
    },
  };
}

function readName(query: Buffer): { name: string; end: number } {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += length + 1;
  }
  return { name: labels.join('.').toLowerCase(), end: at + 1 };
}

/** RFC 1035, 4.1: the question comes back, and each record points at its name. */
function reply(question: Buffer, records: readonly Said[]): Buffer {
  const header = Buffer.from(question.subarray(0, HEADER_BYTES));
  header.writeUInt16BE(0x8580 | (records.length === 0 ? NXDOMAIN : 0), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  header.writeUInt32BE(0, 8);
  const answers = records.map(({ type, ttl, value }) => {
    const data = dataOf(type, value);
    const head = Buffer.alloc(12);
    head.writeUInt16BE(0xc00c, 0);
    head.writeUInt16BE(TYPES[type], 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt32BE(ttl, 6);
    head.writeUInt16BE(data.length, 10);
    return Buffer.concat([head, data]);
  });
  return Buffer.concat([header, question.subarray(HEADER_BYTES), ...answers]);
}

function dataOf(type: Said['type'], value: string): Buffer {
  if (type === 'A' && isIPv4(value)) return Buffer.from(value.split('.').map(Number));
  if (type === 'AAAA')
    return Buffer.from(
      wholeIpv6(value)
        .map((part) => Number.parseInt(part, 16))
        .flatMap((n) => [n >> 8, n & 255]),
    );
  const labels = value.split('.').filter((label) => label !== '');
  return Buffer.concat([
    ...labels.map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`)),
    Buffer.of(0),
  ]);
}

function wholeIpv6(text: string): string[] {
  const [head = '', tail] = text.split('::');
  const left = head.split(':').filter((part) => part !== '');
  const right = (tail ?? '').split(':').filter((part) => part !== '');
  return [...left, ...new Array<string>(8 - left.length - right.length).fill('0'), ...right];
}
