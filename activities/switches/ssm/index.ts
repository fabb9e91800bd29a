import { openLater } from '../later.ts';
import { defineSwitch } from '../switch.ts';
import type { SsmOptions } from './options.ts';
import { ssmSchema } from './options.ts';

/**
 * A parameter of the Systems Manager that says which site is active. PutParameter compares nothing: which run is the newest
 * is decided by the numbers in the vault, and the parameter is a copy of that, which carries its number.
 */
export const ssmSwitch = defineSwitch<SsmOptions>({
  kind: 'ssm',
  schema: ssmSchema,
  describe: ({ parameter, region }) => `parameter ${parameter} in ${region}`,
  weighted: () => false,
  sites: ({ sites }) => sites,
  words: ({ parameter, sites, stopped }) => ({
    stopped: `${parameter} says ${stopped}`,
    up: Object.fromEntries(sites.map((site) => [site, `${parameter} says ${site}`])),
  }),
  open: (name, options, run) =>
    openLater(async () => {
      const { SsmSession } = await import('./session.ts');
      return new SsmSession(name, options, run);
    }),
});
