import { openLater } from '../later.ts';
import { wordsBySite } from '../sites.ts';
import { defineSwitch } from '../switch.ts';
import type { Route53Options, Route53Site } from './options.ts';
import { route53Schema, stoppedValue } from './options.ts';

export const route53Switch = defineSwitch<Route53Options>({
  kind: 'route53',
  schema: route53Schema,
  describe: ({ zone, record, type, policy }) =>
    `${record} ${type} (${policy}) in zone ${zone}, by the control plane in us-east-1`,
  weighted: ({ policy }) => policy === 'weighted',
  sites: ({ sites }) => (sites ? Object.keys(sites) : undefined),
  words: (options) => ({
    stopped: `${options.record} says ${stoppedValue(options)}`,
    ...(options.sites ? { up: wordsBySite(options.sites, (site) => saysOf(options, site)) } : {}),
  }),
  open: (name, options, run) =>
    openLater(async () => {
      // The SDK is loaded by who opens a switch of AWS, and by nobody else.
      const { Route53Session } = await import('./session.ts');
      return new Route53Session(name, options, run);
    }),
});

function saysOf({ record, type }: Route53Options, { value, alias }: Route53Site): string {
  return `${record} ${type} ${alias ? `stands for ${alias.name}` : `says ${value}`}`;
}
