import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runStep } from './program.ts';
import type { SetupContext } from './tool.ts';

const SCRIPT = join(dirname(fileURLToPath(import.meta.url)), 'sideload.sh');

export interface Sideload {
  /** Of Debian: bookworm, sid. */
  suite: string;
  /** Where it goes, and stays: the programs know it. */
  prefix: string;
  /** Pattern below the prefix of the programs that are to run. */
  programs: string;
  packages: readonly string[];
  /** What to do when it fails. */
  hint: string;
}

/** Unpacks Debian packages, with all they need, under a folder; what is there already stays as it is. */
export async function sideload(what: Sideload, { signal }: SetupContext): Promise<void> {
  const { suite, prefix, programs, packages, hint } = what;
  await runStep({ program: 'bash', args: [SCRIPT, suite, prefix, programs, ...packages], hint, signal });
}
