import { z } from 'zod';
import { formatDuration } from '../../workflows/model/units.ts';
import { durationOption, pathOption } from './option-types.ts';
import type { Run } from './run.ts';
import type { CommandResult } from './run-command.ts';
import { runCommand } from './run-command.ts';
import { resolveSecret, secretRefSchema } from './secret.ts';
import { settledWithin } from './settled-within.ts';

/** A program of the user's: no shell, nothing of our own environment. */
export const programShape = {
  /** Absolute path and its arguments. */
  run: z.tuple([pathOption], z.string()),
  timeout: durationOption.prefault('30s'),
  /** Beside PATH, LC_ALL and TZ; a secret as a reference. */
  environment: z
    .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.union([z.string(), secretRefSchema]))
    .default({}),
};

/** A program, its options checked. */
export type Program = z.output<z.ZodObject<typeof programShape>>;

export type ProgramEnd = ({ timedOut: false } & CommandResult) | { timedOut: true; after: string };

/** A program and its group are gone so long after they were told to go. */
const GONE_MS = 10_000;

/**
 * Runs it to its end, or to its time limit, beyond which it and all it started are ended. Unsupported when it cannot be run at
 * all; throws the reason of the run's signal when that ends it.
 */
export async function runProgram(
  program: Program,
  call: { args: readonly string[]; environment: Record<string, string>; place: string },
  run: Run,
): Promise<ProgramEnd> {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(new Error('time is over')), program.timeout);
  const [path, ...args] = program.run;
  const env = { ...environmentOf(program, call.place), ...call.environment };
  const ending = runCommand(path, [...args, ...call.args], {
    signal: AbortSignal.any([run.signal, limit.signal]),
    cwd: '/',
    env,
  });
  ending.catch(() => undefined);
  try {
    // A grandchild that left the group may hold the pipes open for ever.
    await settledWithin(run.clock, program.timeout + GONE_MS, ending);
    if (!limit.signal.aborted) return { timedOut: false, ...(await ending) };
    run.signal.throwIfAborted();
    return { timedOut: true, after: formatDuration(program.timeout) };
  } finally {
    clearTimeout(timer);
  }
}

function environmentOf({ environment }: Program, place: string): Record<string, string> {
  const entries = Object.entries(environment).map(([name, value]) => [
    name,
    typeof value === 'string' ? value : resolveSecret(value, `${place}.environment.${name}`).reveal(),
  ]);
  return Object.fromEntries(entries) as Record<string, string>;
}
