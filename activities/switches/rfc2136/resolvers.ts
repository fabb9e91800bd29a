import { randomInt } from 'node:crypto';
import { findFailure } from '../../../workflows/model/failure.ts';
import type { Confirmation, Traffic } from '../../../workflows/model/traffic.ts';
import { addressText, describeTraffic, sameTraffic } from '../../../workflows/model/traffic.ts';
import type { DnsServer } from '../../io/dns/exchange.ts';
import { DnsSilence, exchange } from '../../io/dns/exchange.ts';
import type { DnsRecord, ReadMessage } from '../../io/dns/message.ts';
import { CLASS, decodeMessage, encodeMessage, OPCODE, RCODE, rcodeName, TYPE } from '../../io/dns/message.ts';
import { sameName } from '../../io/dns/name.ts';
import { negativeTtlS } from '../../io/dns/rdata.ts';
import { networkMeaning } from '../../io/network-failure.ts';
import type { Run } from '../../io/run.ts';
import type { Form } from './records.ts';
import { TYPE_OF, trafficOf } from './records.ts';

const IDS = 0x10000;
/** A cache may be asked in the second in which it throws away. */
const ROUNDING_MS = 1000;

/** What one resolver tells its clients. */
export interface Told {
  resolver: string;
  /** Absent: it does not answer. */
  traffic?: Traffic;
  /** How long it goes on saying so without asking anybody, seconds. */
  ttlS?: number;
  /** Why it does not answer. */
  reason?: string;
}

export function askResolvers(form: Form, run: Run): Promise<Told[]> {
  return Promise.all(form.options.resolvers.map((resolver) => askOne(form, resolver, run)));
}

async function askOne(form: Form, server: DnsServer, run: Run): Promise<Told> {
  const resolver = addressText(server);
  try {
    const reply = await question(form, server, run);
    if (reply.rcode !== RCODE.NOERROR && reply.rcode !== RCODE.NXDOMAIN)
      return { resolver, reason: rcodeName(reply.rcode) };
    const records = recordsIn(form, reply);
    const soa = reply.authority.find(({ type }) => type === TYPE.SOA);
    const ttlS = records.length > 0 ? Math.max(...records.map(({ ttl }) => ttl)) : soa && negativeTtlS(soa);
    return { resolver, traffic: trafficOf(form, records), ...(ttlS === undefined ? {} : { ttlS }) };
  } catch (error) {
    run.signal.throwIfAborted();
    return { resolver, reason: reasonOf(error) };
  }
}

function recordsIn({ options }: Form, { answers }: ReadMessage): DnsRecord[] {
  return answers.filter(({ name, type }) => type === TYPE_OF[options.type] && sameName(name, options.name));
}

function reasonOf(error: unknown): string {
  if (error instanceof DnsSilence) return networkMeaning(error.cause)?.code ?? 'no answer';
  if (error instanceof RangeError) return 'an answer that cannot be read';
  const known = findFailure(error);
  if (known) return known.message;
  throw error;
}

/** As a client asks: by datagram, and by a connection where the answer does not fit. */
async function question({ options }: Form, server: DnsServer, run: Run): Promise<ReadMessage> {
  const message = encodeMessage({
    ...{ id: randomInt(IDS), opcode: OPCODE.QUERY, wantsRecursion: true },
    questions: [{ name: options.name, type: TYPE_OF[options.type], class: CLASS.IN }],
  });
  const use = { server, timeoutMs: options.timeout, signal: run.signal };
  const reply = decodeMessage(await exchange(message, { ...use, transport: 'udp' }));
  return reply.isTruncated ? decodeMessage(await exchange(message, { ...use, transport: 'tcp' })) : reply;
}

/**
 * How many of them lead clients where `to` says: all that answer have to, and half of them have to answer. Those of a site that
 * is gone must not keep clients from being sent away from it.
 */
export function confirmationOf(told: readonly Told[], to: Traffic): Confirmation {
  const good = told.filter(({ traffic }) => traffic !== undefined && sameTraffic(traffic, to));
  const others = told.filter((each) => !good.includes(each));
  const counted = `${good.length} of ${told.length} resolvers say ${describeTraffic(to)}`;
  const found = [counted, ...others.map(toldText)].join('; ');
  const old = others.filter(({ traffic }) => traffic !== undefined);
  const have = good.map(({ resolver }) => resolver);
  if (old.length === 0 && enoughAnswer(told)) return { ok: true, found, have };
  const remaining = old.map(({ ttlS }) => ttlS).filter((ttlS) => ttlS !== undefined);
  return {
    ...{ ok: false, found, have },
    ...(remaining.length > 0 ? { withinMs: Math.max(...remaining) * 1000 + ROUNDING_MS } : {}),
  };
}

export function enoughAnswer(told: readonly Told[]): boolean {
  return told.filter(({ traffic }) => traffic !== undefined).length * 2 >= told.length;
}

function toldText({ resolver, traffic, ttlS, reason }: Told): string {
  if (traffic === undefined) return `${resolver}: ${reason ?? 'no answer'}`;
  return `${resolver} says ${describeTraffic(traffic)}${ttlS === undefined ? '' : ` for ${ttlS} s more`}`;
}
