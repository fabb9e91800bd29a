import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { failure } from '../../../workflows/model/failure.ts';
import { cacheFolder } from './cache.ts';
import { ensureFolder } from './folder.ts';
import { findOnPath, runStep } from './program.ts';
import type { SetupContext, SetUpTool } from './tool.ts';
import { MOTO_PACKAGES, PYTHON_PACKAGES } from './versions.ts';

export const setUpPython: SetUpTool = (context) => setUpWith('python', PYTHON_PACKAGES, context);
export const setUpMoto: SetUpTool = (context) => setUpWith('moto', MOTO_PACKAGES, context);

/** A Python of its own with the pinned packages; the folder's name changes when a pin does. */
async function setUpWith(name: string, pinned: readonly string[], context: SetupContext): ReturnType<SetUpTool> {
  const packages = pinned.join(' ');
  const folder = join(cacheFolder(), `${name}-${createHash('sha256').update(packages).digest('hex').slice(0, 12)}`);
  const path = join(folder, 'bin', 'python');
  let how = 'cache';
  await ensureFolder(folder, context, async (staging) => {
    const { signal } = context;
    context.log(`making a Python environment with ${packages}`);
    const hint = 'install Python 3.9 or later with its venv module (Debian: apt-get install python3-venv)';
    await runStep({ program: await systemPython(), args: ['-m', 'venv', staging], hint, signal });
    const args = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...pinned];
    const network = 'check that the Python package index is reachable (pip config list), then run it again';
    await runStep({ program: join(staging, 'bin', 'python'), args, hint: network, signal });
    how = 'made with venv and pip';
  });
  return { path, how: `${packages}, ${how}` };
}

async function systemPython(): Promise<string> {
  const found = await findOnPath('python3');
  if (found) return found;
  throw failure('Unsupported', 'there is no Python 3', {
    place: 'PATH',
    expected: 'python3, 3.9 or later',
    found: 'no program named python3',
    hint: 'install Python 3 with its venv module, then run the same command again',
  });
}
