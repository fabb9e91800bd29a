import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from './cache.ts';
import { sideload } from './sideload.ts';
import type { SetUpTool } from './tool.ts';

/** The suite that has the newest release; what it has moves on, so that the version is asked of the program. */
const SUITE = 'sid';
const PROGRAM = 'usr/bin/pgbackrest';

/** pgBackRest for the benchmark beside it, unpacked outside of the repository. */
export const setUpPgBackRest: SetUpTool = async (context) => {
  const prefix = join(cacheFolder(), 'pgbackrest');
  const path = join(prefix, PROGRAM);
  if (existsSync(join(prefix, '.complete'))) return { path, how: 'cache' };
  context.log('unpacking pgBackRest from Debian (about 30 s)');
  const hint = 'run on Debian or Ubuntu with apt-get and network; to take a newer one, remove the folder first';
  await sideload({ suite: SUITE, prefix, programs: PROGRAM, packages: ['pgbackrest'], hint }, context);
  return { path, how: 'unpacked from Debian' };
};
