import { isIP } from 'node:net';
import { failure } from '../../../workflows/model/failure.ts';
import type { Traffic } from '../../../workflows/model/traffic.ts';
import { addressText, parseAddress, STOPPED } from '../../../workflows/model/traffic.ts';
import type { DnsRecord } from '../../io/dns/message.ts';
import { TYPE } from '../../io/dns/message.ts';
import { decodeName, DOMAIN_NAME, encodeName, sameName } from '../../io/dns/name.ts';
import { addressData, dataAddress, dataService, serviceData } from '../../io/dns/rdata.ts';
import type { Options } from './options.ts';
import { fits } from './options.ts';

/** What decides about records, of a switch called `name`. */
export interface Form {
  name: string;
  options: Options;
}

/** Where the records of the name lead: clients take each address as often as the others, or as SRV weighs it. */
export function trafficOf(form: Form, records: readonly DnsRecord[]): Traffic {
  const { type, port, parked } = form.options;
  if (type === 'SRV') return serviceTraffic(form, records);
  const hosts = records
    .map(({ data }) => hostOf(type, data))
    .filter((host) => parked === undefined || !isHost(host, parked));
  return Object.fromEntries(hosts.map((host) => [addressText({ host, port }), equalShare(hosts.length)]));
}

function hostOf(type: Options['type'], data: Buffer): string {
  return type === 'CNAME' ? decodeName(data, 0).name : dataAddress(data);
}

function isHost(one: string, other: string): boolean {
  return isIP(one) === 0 ? sameName(one, other) : addressData(one).equals(addressData(other));
}

function serviceTraffic({ name, options }: Form, records: readonly DnsRecord[]): Traffic {
  const all = records.map(({ data }) => dataService(data)).filter(({ target }) => target !== '');
  const [first] = all;
  if (!first) return STOPPED;
  const other = all.find(({ priority }) => priority !== first.priority);
  if (other) {
    throw failure('Unsupported', `switch ${name}: ${options.name} has SRV records of several priorities`, {
      place: options.name,
      expected: 'one priority',
      found: `${first.priority} and ${other.priority}`,
      hint: 'who answers when the first does not is decided by a switch here: leave one priority',
    });
  }
  const sum = all.reduce((total, { weight }) => total + weight, 0);
  const share = (weight: number): number => (sum === 0 ? equalShare(all.length) : rounded((weight / sum) * 100));
  const entries = all.map(({ target, port, weight }) => [addressText({ host: target, port }), share(weight)] as const);
  return Object.fromEntries(entries.filter(([, each]) => each > 0));
}

/** Per cent with two digits, so that all of them together are no more than 100. */
function rounded(share: number): number {
  return Math.floor(share * 100) / 100;
}

function equalShare(count: number): number {
  return rounded(100 / count);
}

/** RDATA of the records that lead where `to` says. ConfigInvalid when no record can. */
export function recordsFor(form: Form, to: Traffic): Buffer[] {
  const { type, parked } = form.options;
  const entries = Object.entries(to);
  if (entries.length === 0) return parked === undefined ? [] : [dataOf(type, parked)];
  const sides = entries.map(([address, share]) => ({
    ...(parseAddress(address) ?? { host: address, port: 0 }),
    share,
  }));
  const wrong = sides.find((side) => !canLead(form, side, sides.length));
  if (wrong) throw cannotLead(form, addressText(wrong), wrong.share);
  if (type === 'CNAME' && sides.length > 1) throw cannotLead(form, Object.keys(to).join(', '), sides[0]?.share ?? 0);
  return sides.map(({ host, share, port: of }) =>
    type === 'SRV'
      ? serviceData({ priority: 0, weight: sides.length === 1 ? 0 : Math.round(share * 100), port: of, target: host })
      : dataOf(type, host),
  );
}

interface Side {
  host: string;
  port: number;
  share: number;
}

function canLead({ options }: Form, { host, port, share }: Side, count: number): boolean {
  const { type, parked } = options;
  if (type === 'SRV') return isIP(host) === 0 && DOMAIN_NAME.test(host) && (count > 1 || share === 100);
  return fits(type, host) && port === options.port && share === equalShare(count) && host !== parked;
}

function dataOf(type: Options['type'], host: string): Buffer {
  return type === 'CNAME' ? encodeName(host) : addressData(host);
}

const FORMS: Record<Options['type'], string> = {
  A: 'an IPv4 address',
  AAAA: 'an IPv6 address',
  CNAME: 'one name',
  SRV: 'names',
};

function cannotLead({ name, options }: Form, found: string, share: number): Error {
  const { type, port, parked } = options;
  const where = type === 'SRV' ? '' : ` and port ${port}`;
  return failure('ConfigInvalid', `switch ${name}: a record of type ${type} cannot lead to ${found}`, {
    place: `switches.${name}`,
    expected: `${FORMS[type]}${where} with all of the traffic${parked === undefined ? '' : `, and not ${parked}`}`,
    found: `${share} % to ${found}`,
    hint: 'correct `address` of the service, --port of the recovery, or `type` and `port` of the switch',
  });
}

/** A value that is not among them, to take away what is not there. */
export function absentData(type: Options['type'], records: readonly DnsRecord[]): Buffer {
  const candidates = (['255', '254'] as const).map((end) => {
    if (type === 'A') return addressData(`192.0.2.${end}`);
    if (type === 'AAAA') return addressData(`2001:db8::${end}`);
    const target = `absent-${end}.invalid`;
    return type === 'CNAME' ? encodeName(target) : serviceData({ priority: 0, weight: 0, port: 9, target });
  });
  const free = candidates.find((candidate) => !records.some(({ data }) => data.equals(candidate)));
  return free ?? addressData('192.0.2.253');
}

export const TYPE_OF: Record<Options['type'], number> = {
  A: TYPE.A,
  AAAA: TYPE.AAAA,
  CNAME: TYPE.CNAME,
  SRV: TYPE.SRV,
};
