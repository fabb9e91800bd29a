import { performance } from 'node:perf_hooks';
import { failure, failureFacts, failureTypeOf } from '../../../workflows/model/failure.ts';
import { setUpNamed } from './named.ts';
import { setUpPgBackRest } from './pgbackrest.ts';
import { setUpPgBouncer } from './pgbouncer.ts';
import { setUpEmbeddedPostgres, setUpPostgres } from './postgres.ts';
import { setUpMoto, setUpPython } from './python.ts';
import { setUpTemporal } from './temporal.ts';
import type { SetupContext, SetUpTool, ToolName, Tools } from './tool.ts';
import { setUpWalPush } from './wal-push.ts';
import { setUpVersitygw } from './versitygw.ts';

export type { ToolName, Tools } from './tool.ts';

const SET_UP: Readonly<Record<ToolName, SetUpTool>> = {
  temporal: setUpTemporal,
  postgresEmbedded: setUpEmbeddedPostgres,
  postgres15: setUpPostgres(15),
  postgres17: setUpPostgres(17),
  postgres18: setUpPostgres(18),
  versitygw: setUpVersitygw,
  python: setUpPython,
  moto: setUpMoto,
  walPush: setUpWalPush,
  named: setUpNamed,
  pgbouncer: setUpPgBouncer,
  pgbackrest: setUpPgBackRest,
};

/** Go builds use every core: one after the other. Everything else waits for disk or network. */
const COMPILED: readonly ToolName[] = ['temporal', 'versitygw', 'walPush'];

export const ALL_TOOLS = Object.keys(SET_UP) as readonly ToolName[];

/** What the product's own tests and demo use; the rest is set up when somebody names it. */
export const USUAL_TOOLS: readonly ToolName[] = ALL_TOOLS.filter((name) => name !== 'pgbackrest');

export interface ToolReport {
  name: ToolName;
  tookMs: number;
  path?: string;
  /** Where it came from. */
  how?: string;
  error?: Error;
}

export interface SetupOptions {
  log(line: string): void;
  signal?: AbortSignal;
}

/**
 * Makes the tools ready and gives their paths. Idempotent, safe while other processes do the same; what an interrupted
 * call finished is not done again. Fails with the first tool's failure, after all were tried; `hint` says what to do.
 */
export async function ensureTools<Name extends ToolName>(
  names: readonly Name[],
  options: SetupOptions,
): Promise<Pick<Tools, Name>> {
  const reports = await setUpTools(names, options);
  const failed = reports.filter((report) => report.path === undefined);
  if (failed[0]?.error) {
    for (const { name, error } of failed.slice(1)) for (const line of troubleLines(name, error)) options.log(line);
    throw failed[0].error;
  }
  return Object.fromEntries(reports.map(({ name, path }) => [name, path])) as Pick<Tools, Name>;
}

/** The same, with what became of each tool instead of a failure. */
export async function setUpTools(names: readonly ToolName[], options: SetupOptions): Promise<ToolReport[]> {
  const { log, signal = new AbortController().signal } = options;
  const context: SetupContext = { log, signal };
  const reports = new Map<ToolName, ToolReport>();
  const one = async (name: ToolName): Promise<void> => {
    const startMs = performance.now();
    const result = await SET_UP[name](context).catch((error: unknown) => ({
      error: error instanceof Error ? error : new Error(String(error)),
    }));
    reports.set(name, { name, tookMs: performance.now() - startMs, ...result });
  };
  const compiled = names.filter((name) => COMPILED.includes(name));
  const others = names.filter((name) => !COMPILED.includes(name));
  const inTurn = async (): Promise<void> => {
    for (const name of compiled) await one(name);
  };
  await Promise.all([inTurn(), ...others.map(one)]);
  signal.throwIfAborted();
  return names.map((name) => reports.get(name) ?? missing(name));
}

function missing(name: ToolName): never {
  throw failure('Bug', `the set-up of ${name} did not report`);
}

/** One failed tool for a person: what, why, and what to do. */
export function troubleLines(name: ToolName, error: unknown): string[] {
  const message = error instanceof Error ? error.message : String(error);
  const { found } = failureFacts(error);
  const lines = (found ?? '').split('\n').filter((line) => line.trim() !== '');
  return [`${name}: ${failureTypeOf(error) ?? 'error'}: ${message}`, ...lines.map((line) => `  ${line}`)];
}
