import { existsSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { WorkflowBundle } from '@temporalio/worker';
import { bundleWorkflowCode } from '@temporalio/worker';
import { workflowsPath } from '../../workers/bundle.ts';
import { SCRATCH_PREFIX } from '../../workers/dev/scratch.ts';

const quiet = (): void => undefined;
const QUIET = { log: quiet, trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet };

let bundled: Promise<WorkflowBundle> | undefined;

/** The workflows, bundled once in a run of the tests: its files share what one of them made. */
export function testBundle(): Promise<WorkflowBundle> {
  bundled ??= sharedBundle();
  return bundled;
}

async function sharedBundle(): Promise<WorkflowBundle> {
  const shared = tmpdir();
  // Elsewhere it would outlive the sources that it is made of.
  if (!basename(shared).startsWith(SCRATCH_PREFIX)) return bundle();
  const path = join(shared, 'workflow-bundle.js');
  if (existsSync(path)) return { code: await readFile(path, 'utf8') };
  const made = await bundle();
  const staging = `${path}.${process.pid}`;
  await writeFile(staging, made.code);
  await rename(staging, path);
  return made;
}

function bundle(): Promise<WorkflowBundle> {
  return bundleWorkflowCode({ workflowsPath: workflowsPath(), logger: QUIET });
}
