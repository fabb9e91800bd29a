import { randomInt } from 'node:crypto';
import { failure, findFailure } from '../../../workflows/model/failure.ts';
import { DnsSilence, exchange } from '../../io/dns/exchange.ts';
import type { DnsRecord, ReadMessage } from '../../io/dns/message.ts';
import { CLASS, decodeMessage, encodeMessage, OPCODE, RCODE, TYPE } from '../../io/dns/message.ts';
import type { Signed, TsigKey } from '../../io/dns/tsig.ts';
import { signRequest, verifyReply } from '../../io/dns/tsig.ts';
import type { Run } from '../../io/run.ts';
import { resolveSecret } from '../../io/secret.ts';
import type { Asked } from './failures.ts';
import { keyRefusal, noReply, refusal, untrusted } from './failures.ts';
import type { Form } from './records.ts';

const IDS = 0x10000;
/** RFC 1035, 4.2.1: more does not fit into a datagram. */
const DATAGRAM_BYTES = 512;
/** A datagram that asks only may be sent again. */
const UDP_TIMES = 3;
/** What an update finds other than it asks for (RFC 2136, 2.4): nothing was changed. */
const PREREQUISITE_FAILED: readonly number[] = [RCODE.YXDOMAIN, RCODE.YXRRSET, RCODE.NXRRSET, RCODE.NXDOMAIN];

export interface Change {
  prerequisites: DnsRecord[];
  updates: DnsRecord[];
}

/** The primary server of the zone, every message to and from it signed. */
export class Authority {
  readonly #form: Form;
  readonly #run: Run;
  readonly #key: TsigKey;

  constructor(form: Form, run: Run) {
    const { key } = form.options;
    const text = resolveSecret(key.secret, `switches.${form.name}.key.secret`).reveal();
    const secret = Buffer.from(text, 'base64');
    if (secret.length === 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(text.trim())) throw notBase64(form);
    this.#form = form;
    this.#run = run;
    this.#key = { name: key.name, algorithm: key.algorithm, secret };
  }

  /** Records of a name, and what the server says beside them; of a name that is not there none. */
  async ask(name: string, type: number): Promise<ReadMessage> {
    const question = { name, type, class: CLASS.IN };
    const reply = await this.#call('question', { opcode: OPCODE.QUERY, questions: [question] });
    if (reply.rcode !== RCODE.NOERROR && reply.rcode !== RCODE.NXDOMAIN) throw refusal(this.#form, reply.rcode);
    if (!reply.isAuthoritative) throw refusal(this.#form, RCODE.NOTAUTH);
    return reply;
  }

  /** All of it or nothing (RFC 2136, 3); false when a prerequisite did not hold. */
  async update({ prerequisites, updates }: Change): Promise<boolean> {
    const zone = { name: this.#form.options.zone, type: TYPE.SOA, class: CLASS.IN };
    const body = { opcode: OPCODE.UPDATE, questions: [zone], answers: prerequisites, authority: updates };
    const { rcode } = await this.#call('update', body);
    if (rcode === RCODE.NOERROR) return true;
    if (PREREQUISITE_FAILED.includes(rcode)) return false;
    throw refusal(this.#form, rcode);
  }

  async #call(asked: Asked, body: Omit<Parameters<typeof encodeMessage>[0], 'id'>): Promise<ReadMessage> {
    const signed = signRequest(encodeMessage({ ...body, id: randomInt(IDS) }), this.#key, this.#run.clock.nowMs());
    const isSmall = signed.message.length <= DATAGRAM_BYTES;
    const first = this.#form.options.transport === 'udp' && isSmall ? 'udp' : 'tcp';
    const reply = await this.#read(asked, signed, first);
    if (first === 'tcp' || !reply.isTruncated) return reply;
    // An update that was cut off was made all the same: asking again would find another state than it asks for.
    if (asked === 'update') return reply;
    return this.#read(asked, signed, 'tcp');
  }

  async #read(asked: Asked, signed: Signed, transport: 'tcp' | 'udp'): Promise<ReadMessage> {
    const bytes = await this.#send(asked, signed.message, transport);
    try {
      const reply = decodeMessage(bytes);
      const use = { key: this.#key, requestMac: signed.mac, nowMs: this.#run.clock.nowMs() };
      const isOurs = reply.isResponse && reply.id === signed.message.readUInt16BE(0);
      if (!isOurs) throw untrusted(this.#form, asked, 'no answer to what was asked');
      const verdict = verifyReply(bytes, reply, use);
      if (verdict.is === 'good') return reply;
      if (verdict.is === 'refused') throw keyRefusal(this.#form, verdict);
      // Who does not know the key cannot sign that he refuses.
      if (verdict.is === 'unsigned' && reply.rcode !== RCODE.NOERROR && reply.rcode !== RCODE.NXDOMAIN)
        throw refusal(this.#form, reply.rcode);
      throw untrusted(this.#form, asked, verdict.is);
    } catch (error) {
      if (findFailure(error)) throw error;
      if (error instanceof RangeError) throw untrusted(this.#form, asked, 'unreadable');
      throw error;
    }
  }

  async #send(asked: Asked, message: Buffer, transport: 'tcp' | 'udp'): Promise<Buffer> {
    const { server, timeout } = this.#form.options;
    const times = transport === 'udp' && asked === 'question' ? UDP_TIMES : 1;
    const use = { server, transport, timeoutMs: timeout / times, signal: this.#run.signal };
    for (let time = 1; ; time++) {
      try {
        return await exchange(message, use);
      } catch (error) {
        if (!(error instanceof DnsSilence)) throw error;
        if (!error.timedOut || time === times) throw noReply(this.#form, asked, error);
      }
    }
  }
}

function notBase64({ name }: Form): Error {
  return failure('ConfigInvalid', `switch ${name}: the secret of its key is no base64`, {
    place: `switches.${name}.key.secret`,
    expected: 'base64, as in the configuration of the name server',
    found: 'something else, not shown because it is a secret',
    hint: 'correct the variable or file that `key.secret` names',
  });
}
