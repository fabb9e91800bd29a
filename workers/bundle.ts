import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { WorkflowBundleOption } from '@temporalio/worker';
import { bundleWorkflowCode } from '@temporalio/worker';

const PREBUILT = new URL('./workflow-bundle.js', import.meta.url);

/** Source of the workflows, beside this file: TypeScript in development, JavaScript when installed. */
export function workflowsPath(): string {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  return fileURLToPath(new URL(`../workflows/index${extension}`, import.meta.url));
}

/** The bundle that the build made when there is one; else a fresh one, which takes about a second. */
export async function workflowBundle(): Promise<WorkflowBundleOption> {
  if (existsSync(PREBUILT)) return { codePath: fileURLToPath(PREBUILT) };
  return bundleWorkflowCode({ workflowsPath: workflowsPath(), logger: quietLogger });
}

/** Writes the bundle for production, so that a worker starts without webpack. */
export async function writeBundle(path: string): Promise<void> {
  const { code } = await bundleWorkflowCode({ workflowsPath: workflowsPath(), logger: quietLogger });
  await writeFile(path, code);
}

const quiet = (): void => undefined;
const quietLogger = { log: quiet, trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet };
