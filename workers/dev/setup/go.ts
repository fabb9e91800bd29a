import { failure } from '../../../workflows/model/failure.ts';
import { findOnPath, isExecutable, runStep } from './program.ts';
import type { SetupContext } from './tool.ts';

const USUAL_PLACE = '/usr/local/go/bin/go';

/** A Go compiler: PATH, else where its own installer puts it. */
export async function goProgram(wanted: string): Promise<string> {
  const found = (await findOnPath('go')) ?? ((await isExecutable(USUAL_PLACE)) ? USUAL_PLACE : undefined);
  if (found) return found;
  throw failure('Unsupported', `${wanted} has to be built and there is no Go compiler`, {
    place: 'PATH',
    expected: 'go 1.26 or later',
    found: 'no program named go',
    hint: 'install Go from https://go.dev/dl, then run the same command again',
  });
}

interface GoCall {
  cwd: string;
  context: SetupContext;
  env?: Record<string, string>;
}

/** One call of the Go tool; the hint names the network because that is what a build lacks most often. */
export function runGo(go: string, args: string[], { cwd, context, env }: GoCall): Promise<string> {
  return runStep({
    program: go,
    args,
    cwd,
    env: { CGO_ENABLED: '0', ...env },
    signal: context.signal,
    hint: 'check that the Go module proxy is reachable (go env GOPROXY) and that Go is 1.26 or later, then run it again',
  });
}
