import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';

export const VERSIONS = [15, 17, 18] as const;

export interface SoakOptions {
  seed: number;
  /** New actions are begun for so long; absent with `actions`. */
  minutes?: number;
  /** Exactly so many. */
  actions?: number;
  postgres: (typeof VERSIONS)[number];
  store: 'folder' | 's3';
  json: boolean;
}

export const USAGE = `usage: npm run soak -- --minutes N [--seed S] [--postgres 15|17|18] [--store folder|s3] [--json]
       npm run soak -- --seed S --actions N        the same actions again

Random writes, backups, restores and faults on a real PostgreSQL, Temporal and store, against a model of what must be
where. The seed decides all of it. --json prints one object as the last line.`;

const LARGEST_SEED = 2 ** 32 - 1;

/** Throws what is wrong with the arguments; undefined when help is asked for. */
export function readOptions(args: string[]): SoakOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      ...{ minutes: { type: 'string' }, actions: { type: 'string' }, seed: { type: 'string' } },
      ...{ postgres: { type: 'string', default: '18' }, store: { type: 'string', default: 'folder' } },
      ...{ json: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } },
    },
  });
  if (values.help) return undefined;
  const { seed, minutes, actions, store } = values;
  if ((minutes === undefined) === (actions === undefined)) throw new Error('--minutes or --actions is wanted');
  if (store !== 'folder' && store !== 's3') throw new Error(`--store is ${store}; expected folder or s3`);
  const postgres = VERSIONS.find((version) => String(version) === values.postgres);
  if (postgres === undefined)
    throw new Error(`--postgres is ${values.postgres}; expected one of ${VERSIONS.join(', ')}`);
  return {
    seed: seed === undefined ? randomInt(LARGEST_SEED) : whole('--seed', seed, { least: 0, most: LARGEST_SEED }),
    ...(minutes === undefined ? {} : { minutes: whole('--minutes', minutes, { least: 1, most: 100_000 }) }),
    ...(actions === undefined ? {} : { actions: whole('--actions', actions, { least: 1, most: 10_000_000 }) }),
    ...{ postgres, store, json: values.json },
  };
}

function whole(name: string, text: string, { least, most }: { least: number; most: number }): number {
  const value = Number(text);
  if (text !== '' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new Error(`${name} is ${text}; expected a whole number from ${least} to ${most}`);
}
