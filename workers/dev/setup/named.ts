import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from './cache.ts';
import { findOnPath, runStep } from './program.ts';
import { sideload } from './sideload.ts';
import type { SetUpTool } from './tool.ts';

const SUITE = 'trixie';
const PROGRAM = 'usr/sbin/named';
/** Older ones want a lock file in a folder of the system. */
const OLDEST = [9, 20] as const;

/** BIND 9, a name server that takes dynamic updates: what is there, else unpacked from Debian. */
export const setUpNamed: SetUpTool = async (context) => {
  const prefix = join(cacheFolder(), 'bind9');
  const path = join(prefix, PROGRAM);
  if (existsSync(join(prefix, '.complete'))) return { path, how: 'cache' };
  const onPath = await findOnPath('named');
  if (onPath && (await isRecent(onPath, context.signal))) return { path: onPath, how: 'from PATH' };
  context.log('unpacking BIND 9 from Debian (about 10 s)');
  const hint = 'install BIND 9.20 or later, or run on Debian or Ubuntu with apt-get and network';
  await sideload({ suite: SUITE, prefix, programs: PROGRAM, packages: ['bind9'], hint }, context);
  return { path, how: 'unpacked from Debian' };
};

async function isRecent(program: string, signal: AbortSignal): Promise<boolean> {
  const text = await runStep({ program, args: ['-v'], hint: 'mend it', signal }).catch(() => '');
  const [, major = '0', minor = '0'] = /BIND (\d+)\.(\d+)/.exec(text) ?? [];
  return Number(major) > OLDEST[0] || (Number(major) === OLDEST[0] && Number(minor) >= OLDEST[1]);
}
