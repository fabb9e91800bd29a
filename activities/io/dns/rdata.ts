import { isIPv4 } from 'node:net';
import { decodeName, encodeName } from './name.ts';

const LONGEST_TEXT = 255;

/** RDATA of A and AAAA. */
export function addressData(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  // What the URL standard writes has no IPv4 tail, and its "::" stands for the zeros that are missing to eight groups.
  const [head = '', tail] = canonicalIPv6(address).split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const [front, back] = [groups(head), groups(tail ?? '')];
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => '0');
  const data = Buffer.alloc(16);
  for (const [index, group] of [...front, ...zeros, ...back].entries())
    data.writeUInt16BE(Number.parseInt(group, 16), index * 2);
  return data;
}

/** An address of A (4 bytes) or AAAA (16) as a person writes it (RFC 5952). */
export function dataAddress(data: Buffer): string {
  if (data.length === 4) return [...data].join('.');
  if (data.length !== 16) throw new RangeError('no address');
  return canonicalIPv6(Array.from({ length: 8 }, (_, index) => data.readUInt16BE(index * 2).toString(16)).join(':'));
}

export function canonicalIPv6(address: string): string {
  return new URL(`http://[${address}]/`).hostname.slice(1, -1);
}

/** RFC 2782. */
export interface ServiceData {
  priority: number;
  weight: number;
  port: number;
  /** "" is ".": the service is decidedly not there. */
  target: string;
}

export function serviceData({ priority, weight, port, target }: ServiceData): Buffer {
  const head = Buffer.alloc(6);
  for (const [index, value] of [priority, weight, port].entries()) head.writeUInt16BE(value, index * 2);
  return Buffer.concat([head, encodeName(target)]);
}

export function dataService(data: Buffer): ServiceData {
  const [priority = 0, weight = 0, port = 0] = [0, 2, 4].map((at) => data.readUInt16BE(at));
  return { priority, weight, port, target: decodeName(data, 6).name };
}

/** RDATA of TXT with one text. */
export function textData(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1').subarray(0, LONGEST_TEXT);
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

/** The texts of a TXT record, one behind the other. */
export function dataText(data: Buffer): string {
  let text = '';
  for (let at = 0; at < data.length;) {
    const length = data.readUInt8(at);
    text += data.subarray(at + 1, at + 1 + length).toString('latin1');
    at += 1 + length;
  }
  return text;
}

/** How long "there is none" may be remembered, seconds (RFC 2308, 5). */
export function negativeTtlS({ ttl, data }: { ttl: number; data: Buffer }): number {
  return Math.min(ttl, data.readUInt32BE(data.length - 4));
}
