import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { CLASS, decodeMessage, encodeMessage, OPCODE, TYPE } from '../../activities/io/dns/message.ts';
import { decodeName, DOMAIN_NAME, encodeName } from '../../activities/io/dns/name.ts';
import {
  addressData,
  dataAddress,
  dataService,
  dataText,
  negativeTtlS,
  textData,
} from '../../activities/io/dns/rdata.ts';
import { signRequest, TSIG_ERROR, verifyReply } from '../../activities/io/dns/tsig.ts';

/** A reply as servers write it, its names compressed: an alias and where it leads, and the SOA record of the zone. */
const REPLY = Buffer.from(
  [
    '1234 8500 0001 0002 0001 0000',
    '02 6462 07 6578616d706c65 03 6f7267 00 0001 0001', // db.example.org A
    'c00c 0005 0001 0000003c 0006 03 646237 c00f', // db.example.org CNAME db7.example.org
    'c02c 0001 0001 0000001e 0004 0a000007', // db7.example.org A 10.0.0.7
    'c00f 0006 0001 00000078 0021', // example.org SOA
    '02 6e73 c00f 05 61646d696e c00f 00000001 00000e10 00000258 00015180 0000003c',
  ]
    .join('')
    .replaceAll(' ', ''),
  'hex',
);

test('a compressed reply is read, and names in its data are whole', () => {
  const { id, isResponse, isAuthoritative, answers, authority } = decodeMessage(REPLY);
  assert.deepEqual([id, isResponse, isAuthoritative], [0x1234, true, true]);
  assert.deepEqual(
    answers.map(({ name, type, ttl }) => [name, type, ttl]),
    [
      ['db.example.org', TYPE.CNAME, 60],
      ['db7.example.org', TYPE.A, 30],
    ],
  );
  assert.equal(decodeName(answers[0]?.data ?? Buffer.alloc(0), 0).name, 'db7.example.org');
  assert.equal(dataAddress(answers[1]?.data ?? Buffer.alloc(0)), '10.0.0.7');
  const [soa] = authority;
  assert.ok(soa);
  assert.equal(negativeTtlS(soa), 60);
  assert.ok(soa.data.toString('latin1').startsWith('\x02ns\x07example\x03org\0\x05admin\x07example\x03org\0'));
});

test('whatever is cut off or leads round in a circle is refused, and nothing hangs', () => {
  for (let length = 0; length < REPLY.length; length++)
    assert.throws(() => decodeMessage(REPLY.subarray(0, length)), RangeError, `${length} bytes`);
  const circle = Buffer.from(REPLY);
  circle.writeUInt16BE(0xc02c, 44);
  assert.throws(() => decodeMessage(circle), RangeError);
  assert.throws(() => decodeName(Buffer.from('c000', 'hex'), 0), RangeError);
  assert.throws(() => decodeName(Buffer.from('4001', 'hex'), 0), RangeError);
});

test('names: their limits, and what is no letter', () => {
  assert.equal(encodeName('db.example.org').toString('hex'), '02646207' + '6578616d706c65' + '03' + '6f726700');
  assert.deepEqual(
    [encodeName(''), encodeName('org.')].map((bytes) => bytes.toString('hex')),
    ['00', '036f726700'],
  );
  assert.throws(() => encodeName(`${'a'.repeat(64)}.org`));
  assert.throws(() => encodeName(Array(130).fill('a').join('.')));
  assert.throws(() => encodeName('a..org'));
  assert.equal(decodeName(Buffer.from('\x03a.b\x02\\\xff\0', 'latin1'), 0).name, 'a\\.b.\\\\\\255');
  const good = ['org', 'db.example.org', '_lifeboat.db-1.example.org', 'a'.repeat(63)];
  const bad = ['', '.', 'org.', 'a..b', '-a.org', 'a-.org', 'a b', 'a'.repeat(64), `${'a.'.repeat(126)}aa`];
  assert.deepEqual(
    [good, bad].map((names) => names.map((name) => DOMAIN_NAME.test(name))),
    [good.map(() => true), bad.map(() => false)],
  );
});

test('addresses, texts and services go to bytes and back', () => {
  for (const [address, hex] of [
    ['10.0.0.7', '0a000007'],
    ['fd00::7', 'fd000000000000000000000000000007'],
    ['::1', '00000000000000000000000000000001'],
    ['2001:db8:1:2:3:4:5:6', '20010db8000100020003000400050006'],
  ] as const) {
    assert.equal(addressData(address).toString('hex'), hex);
    assert.equal(dataAddress(addressData(address)), address);
  }
  assert.equal(dataText(textData('lifeboat token=3')), 'lifeboat token=3');
  assert.equal(dataText(Buffer.from('\x02ab\x01c', 'latin1')), 'abc');
  const service = Buffer.concat([Buffer.from('000100021538', 'hex'), encodeName('db7.example.org')]);
  assert.deepEqual(dataService(service), { priority: 1, weight: 2, port: 5432, target: 'db7.example.org' });
});

const KEY = { name: 'lifeboat', algorithm: 'hmac-sha256', secret: Buffer.from('secret') } as const;
const NOW_MS = 1_767_582_000_000;

/** An answer of a server with the same key, put together from RFC 8945 by hand. */
function answerTo(
  request: { message: Buffer; mac: Buffer },
  what: { secret?: string; error?: number; atS?: number } = {},
): Buffer {
  const { secret = 'secret', error = 0, atS = NOW_MS / 1000 } = what;
  const body = encodeMessage({ id: request.message.readUInt16BE(0), opcode: OPCODE.UPDATE, questions: [] });
  body.writeUInt8(0xa8, 2);
  const name = Buffer.from('\x08lifeboat\0', 'latin1');
  const algorithm = Buffer.from('\x0bhmac-sha256\0', 'latin1');
  const time = Buffer.alloc(8);
  time.writeUIntBE(NOW_MS / 1000, 0, 6);
  time.writeUInt16BE(300, 6);
  const tail = Buffer.alloc(error === TSIG_ERROR.BADTIME ? 10 : 4);
  tail.writeUInt16BE(error, 0);
  if (error === TSIG_ERROR.BADTIME) {
    tail.writeUInt16BE(6, 2);
    tail.writeUIntBE(atS, 4, 6);
  }
  const length = Buffer.from([0, request.mac.length]);
  const variables = [name, Buffer.from('00ff00000000', 'hex'), algorithm, time, tail];
  const mac = createHmac('sha256', secret)
    .update(Buffer.concat([length, request.mac, body, ...variables]))
    .digest();
  const data = Buffer.concat([algorithm, time, Buffer.from([0, 32]), mac, body.subarray(0, 2), tail]);
  const head = Buffer.from('00fa00ff000000000000', 'hex');
  head.writeUInt16BE(data.length, 8);
  const signed = Buffer.concat([body, name, head, data]);
  signed.writeUInt16BE(1, 10);
  return signed;
}

test('a reply is believed when it is signed over what was asked, and now', () => {
  const zone = { name: 'example.org', type: TYPE.SOA, class: CLASS.IN };
  const request = signRequest(encodeMessage({ id: 7, opcode: OPCODE.UPDATE, questions: [zone] }), KEY, NOW_MS);
  const verdict = (bytes: Buffer, nowMs = NOW_MS): unknown =>
    verifyReply(bytes, decodeMessage(bytes), { key: KEY, requestMac: request.mac, nowMs });
  assert.deepEqual(verdict(answerTo(request)), { is: 'good' });
  assert.deepEqual(verdict(answerTo(request), NOW_MS + 301_000), { is: 'refused', error: 18, skewS: -301 });
  assert.deepEqual(verdict(answerTo(request, { error: 18, atS: NOW_MS / 1000 + 900 })), {
    ...{ is: 'refused', error: 18, skewS: 900 },
  });
  assert.deepEqual(verdict(answerTo(request, { secret: 'another' })), { is: 'forged' });
  const other = signRequest(encodeMessage({ id: 8, opcode: OPCODE.UPDATE, questions: [zone] }), KEY, NOW_MS);
  assert.deepEqual(verdict(answerTo(other)), { is: 'forged' });
  const changed = answerTo(request);
  changed.writeUInt8((changed.at(3) ?? 0) | 5, 3);
  assert.deepEqual(verdict(changed), { is: 'forged' });
  assert.deepEqual(verdict(REPLY), { is: 'unsigned' });
});
