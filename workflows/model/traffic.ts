/**
 * Where the traffic of a service goes: per cent by "host:port", together at most 100. What is missing to 100 is served by
 * nobody; {} is stopped.
 */
export type Traffic = Readonly<Record<string, number>>;

export const STOPPED: Traffic = {};

/** What a switch says of itself now: observed, not remembered. */
export interface Observed {
  traffic: Traffic;
  /** The highest token that it has accepted; 0 before the first. */
  token: number;
}

/** One wish to a switch: compare and set. */
export interface Move {
  from: Traffic;
  to: Traffic;
  /** Of the run that moves: a switch that has seen a higher one refuses it. */
  token: number;
}

/** What a look from outside found. */
export interface Confirmation {
  ok: boolean;
  found: string;
  /** Of one that is not ok: it becomes so by itself within this time, milliseconds (what is cached runs out). */
  withinMs?: number;
}

export function addressText({ host, port }: { host: string; port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** "10.0.0.7:5432" and "[fd00::7]:5432" to their pieces; undefined for anything else. */
export function parseAddress(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}

/** Why a value is no Traffic; undefined when it is one. */
export function trafficProblem(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'not an object';
  const entries = Object.entries(value as Record<string, unknown>);
  const bad = entries.find(([address, share]) => !parseAddress(address) || !isShare(share));
  if (bad) return `${JSON.stringify(bad[0])}: ${JSON.stringify(bad[1])}`;
  const sum = entries.reduce((total, [, share]) => total + (share as number), 0);
  return sum > 100 ? `${sum} % together` : undefined;
}

function isShare(value: unknown): boolean {
  return typeof value === 'number' && value > 0 && value <= 100;
}

export function sameTraffic(one: Traffic, other: Traffic): boolean {
  return trafficKey(one) === trafficKey(other);
}

/** One text for one traffic, whatever the order of its addresses. */
export function trafficKey(traffic: Traffic): string {
  return JSON.stringify(Object.entries(traffic).sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function describeTraffic(traffic: Traffic): string {
  const entries = Object.entries(traffic);
  if (entries.length === 0) return 'stopped';
  return entries.map(([address, share]) => (share === 100 ? address : `${share} % to ${address}`)).join(', ');
}
