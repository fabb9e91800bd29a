import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { failure, findFailure, isFailure } from '../../../../../workflows/model/failure.ts';
import { parseLsn, segmentName } from '../../../../../workflows/model/lsn.ts';
import type { RecoveryPlan } from '../../../../../workflows/model/recovery.ts';
import { historyFileName } from '../../../../../workflows/model/timeline.ts';
import type { Host } from '../../../../io/postgres/host.ts';
import type { CommandResult } from '../../../../io/run-command.ts';
import { runCommand } from '../../../../io/run-command.ts';
import type { Run } from '../../../../io/run.ts';
import type { Place } from '../place.ts';

interface Trying {
  host: Host;
  place: Place;
  run: Run;
}

const THERE = 0;
const NOT_THERE = 1;

/**
 * Precondition unless the server's user can ask the vault by restore_command, with the environment that the server will
 * have: here for a file that no vault has, so that nothing is written.
 */
export async function checkFetching(plan: RecoveryPlan, { host, run }: Pick<Trying, 'host' | 'run'>): Promise<void> {
  const file = { name: historyFileName(1), path: '/dev/null', cwd: '/' };
  const { code, stderr } = await call(plan, { ...file, more: ['--system', plan.base.systemId] }, { host, run });
  if (code !== NOT_THERE) throw cannotFetch(plan, { code, stderr });
}

/** Brings a segment that the vault has, as the server will; says which. */
export async function tryFetching(plan: RecoveryPlan, { host, place, run }: Trying): Promise<string> {
  const { base } = plan;
  const name = segmentName(base.timeline, parseLsn(base.startLsn), base.segmentBytes);
  // Not where the server puts its own.
  const path = join(place.socket, 'fetched');
  try {
    const { code, stderr } = await call(plan, { name, path, cwd: place.data, more: [] }, { host, run });
    if (code !== THERE) throw cannotFetch(plan, { code, stderr });
    return name;
  } finally {
    await rm(path, { force: true });
  }
}

interface Call {
  name: string;
  path: string;
  cwd: string;
  more: string[];
}

async function call(
  { standby }: RecoveryPlan,
  { name, path, cwd, more }: Call,
  { host, run }: Pick<Trying, 'host' | 'run'>,
): Promise<CommandResult> {
  const [program = '', ...words] = standby?.fetch ?? [];
  const given: Record<string, string> = { '%f': name, '%p': path };
  // What could not be asked is to be told from what is not there.
  const args = words.filter((word) => word !== '--standby').map((word) => given[word] ?? word);
  const as = host.as ? { as: host.as } : {};
  try {
    return await runCommand(program, [...args, ...more], { signal: run.signal, cwd, ...as });
  } catch (error) {
    // That user may not even be able to reach the program.
    if (!isFailure(error, 'Unsupported')) throw error;
    return { code: undefined, stdout: '', stderr: findFailure(error)?.message ?? String(error) };
  }
}

function cannotFetch({ standby }: RecoveryPlan, { code, stderr }: Pick<CommandResult, 'code' | 'stderr'>): Error {
  const said = stderr.trim().split('\n').slice(0, 4).join('; ').slice(0, 500);
  return failure('Precondition', 'the server of the standby could not fetch WAL from the vault', {
    place: `restore_command = ${standby?.fetch.join(' ')}`,
    expected: 'an answer of the vault to the user that the server runs as',
    found: said === '' ? `exit ${code ?? 'by a signal'}` : said,
    hint: 'let that user read lifeboat.yml, keys.root and the store, with secrets from files rather than the environment',
  });
}
