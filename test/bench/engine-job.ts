import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawn } from 'node:child_process';
import type { ConnectionOptions } from '../../activities/io/postgres/connection.ts';
import type { RecoveryPlan } from '../../workflows/model/recovery.ts';
import type { StoreUse } from '../../activities/stores/open.ts';
import type { Finished } from './measured.ts';
import { measure } from './measured.ts';

/** Where the engine finds everything; plain data, because the engine runs in a process of its own. */
export interface Bench {
  /** A folder, or another store with its options. */
  store: string | StoreUse;
  /** Where the WAL is, when it is another one. */
  walStore?: string | StoreUse;
  /** Folder of the key files. */
  keys: string;
  connection: Pick<ConnectionOptions, 'host' | 'port' | 'user' | 'database'>;
  /** Programs of the server, and who runs them. */
  binaries: string;
  runAs: string;
}

/** Of made up files that are many. */
export const SMALL_FILE_BYTES = 120;

export type EngineJob = Bench &
  /** `read`: by whom the files of a full one are read; `since`: the point that it is to stand on. */
  (
    | { kind: 'backup'; point: string; read: 'stream' | 'local'; since?: string }
    /** Prepares, fetches, starts, opens; replays nothing but what makes the base consistent. */
    | { kind: 'restore'; point: string; into: string; port: number }
    | { kind: 'replay'; point: string; into: string; port: number }
    /** Prepares and fetches, and leaves the files there; `plan` is what is ordered beside that. */
    | { kind: 'fetch'; point: string; into: string; plan?: Partial<RecoveryPlan> }
    /** Ships until the vault holds everything below `untilLsn`; without it, until the input ends. */
    | { kind: 'ship'; untilLsn?: string }
    /** Reads and compares everything in the vault. */
    | { kind: 'verify' }
    /** A backup of made up files, so many or of a relation's segments, into a store that keeps no part. */
    | { kind: 'simulate'; bytes: number; files?: number }
  );

/** What the engine says of its work, beside what is measured from outside. */
export interface EngineReport {
  wallMs: number;
  peakRssBytes: number;
  loopDelayP99Ms: number;
  loopDelayMaxMs: number;
  /** Milliseconds of named steps, bytes of named things. */
  facts: Record<string, number>;
}

export type EngineSample = Finished & EngineReport;

const MODULE = fileURLToPath(new URL('./engine.ts', import.meta.url));

/** Runs a job; times are the job's own, because a worker is there before its work comes; memory is the whole process's. */
export async function runEngine(job: EngineJob): Promise<EngineSample> {
  const outside = await measure('"$@"', [process.execPath, MODULE, JSON.stringify(job)]);
  const inside = report(outside.stdout);
  const { cpuMs = Number.NaN, readBytes = Number.NaN } = inside.facts;
  return { ...outside, ...inside, cpuSeconds: cpuMs / 1000, readBytes };
}

/** An engine that goes on until `end`. */
export function startEngine(job: EngineJob): { end(): Promise<EngineReport> } {
  const child = spawn(process.execPath, [MODULE, JSON.stringify(job)], { stdio: ['pipe', 'pipe', 'inherit'] });
  let stdout = '';
  child.stdout.on('data', (bytes: Buffer) => (stdout += bytes.toString()));
  const closed = once(child, 'close');
  return {
    end: async () => {
      child.stdin.end();
      await closed;
      return report(stdout);
    },
  };
}

function report(stdout: string): EngineReport {
  const line = stdout.trim().split('\n').at(-1) ?? '';
  if (!line.startsWith('{')) throw new Error(`engine said nothing of its work: ${stdout}`);
  return JSON.parse(line) as EngineReport;
}

export function keyFile(bench: Bench, name: string): string {
  return join(bench.keys, name);
}
