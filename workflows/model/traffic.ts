/**
 * Where the traffic of a service goes: per cent by side, together at most 100. What is missing to 100 is served by
 * nobody; {} is stopped. A side is "host:port" or, of a switch that moves compute, databases or a named place, the name of a
 * site. What works at a site is there beside another one's for a while, so the shares of sites are each at most 100: of
 * `{"dc1":100,"dc2":100}` both are up.
 */
export type Traffic = Readonly<Record<string, number>>;

export const STOPPED: Traffic = {};

/** What a switch says of itself now: observed, not remembered. */
export interface Observed {
  traffic: Traffic;
  /** The highest token that it has accepted; 0 before the first. */
  token: number;
  /** What a person has to know of it, where traffic does not say it: a copy that was cut off, a capacity that is missing. */
  note?: string;
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
  /** Who of several outside, resolvers of names, leads clients there by now. */
  have?: string[];
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

/** What a site may be called: it has no ":", so that no site is an address. */
export const SITE_FORM = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** Why a value is no Traffic by address; undefined when it is one. */
export function trafficProblem(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'not an object';
  const entries = Object.entries(value as Record<string, unknown>);
  const bad = entries.find(([address, share]) => !parseAddress(address) || !isShare(share));
  if (bad) return `${JSON.stringify(bad[0])}: ${JSON.stringify(bad[1])}`;
  const sum = entries.reduce((total, [, share]) => total + (share as number), 0);
  return sum > 100 ? `${sum} % together` : undefined;
}

/** Why a Traffic is none by these sites; undefined when it is one. */
export function siteProblem(traffic: Traffic, sites: readonly string[]): string | undefined {
  const bad = Object.entries(traffic).find(([site, share]) => !sites.includes(site) || !isShare(share));
  return bad ? `${JSON.stringify(bad[0])}: ${JSON.stringify(bad[1])}` : undefined;
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
