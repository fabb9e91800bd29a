import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from './cache.ts';
import { findOnPath } from './program.ts';
import { sideload } from './sideload.ts';
import type { SetUpTool } from './tool.ts';

const SUITE = 'trixie';
const PROGRAM = 'usr/sbin/pgbouncer';

/** PgBouncer: what is there, else unpacked from Debian. */
export const setUpPgBouncer: SetUpTool = async (context) => {
  const prefix = join(cacheFolder(), 'pgbouncer');
  const path = join(prefix, PROGRAM);
  if (existsSync(join(prefix, '.complete'))) return { path, how: 'cache' };
  const onPath = await findOnPath('pgbouncer');
  if (onPath) return { path: onPath, how: 'from PATH' };
  context.log('unpacking PgBouncer from Debian (about 10 s)');
  const hint = 'install PgBouncer, or run on Debian or Ubuntu with apt-get and network';
  await sideload({ suite: SUITE, prefix, programs: PROGRAM, packages: ['pgbouncer'], hint }, context);
  return { path, how: 'unpacked from Debian' };
};
