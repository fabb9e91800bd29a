import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ControlState } from '../../../../workflows/model/forensic.ts';
import { formatLsn } from '../../../../workflows/model/lsn.ts';
import { isoTime } from '../../../io/clock.ts';
import { isWholeControl } from '../backup/local/control-file.ts';
import { CONTROL_FILE } from '../backup/local/exclusions.ts';
import type { ControlSizes } from '../control-sizes.ts';
import { controlSizes } from '../control-sizes.ts';

/** DBState of pg_control.h, in its order, by the names of pg_controldata. */
const STATES = [
  ...['starting up', 'shut down', 'shut down in recovery', 'shutting down'],
  ...['in crash recovery', 'in archive recovery', 'in production'],
];
const CLEAN = ['shut down', 'shut down in recovery'];

/** Front of ControlFileData, the same from version 15 to 18 (pg_control.h). */
const AT = { catalogVersion: 12, state: 16, time: 24, checkpoint: 32, redo: 40, timeline: 48 };

/** pg_control of a server that is down. */
export interface FoundControl {
  bytes: Buffer;
  systemId: string;
  /** Part of the name of a tablespace's folder. */
  catalogVersion: number;
  state: ControlState;
  sizes: ControlSizes;
}

/** What pg_control says, or why it says nothing. */
export async function readControl(data: string): Promise<FoundControl | { wrong: string; bytes?: Buffer }> {
  const path = join(data, CONTROL_FILE);
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return { wrong: `${CONTROL_FILE} cannot be read: ${code}` };
  }
  const sizes = controlSizes(bytes);
  if (!sizes || !isWholeControl(bytes)) return { wrong: `${CONTROL_FILE} has a wrong checksum`, bytes };
  return {
    ...{ bytes, sizes, systemId: String(bytes.readBigUInt64LE(0)) },
    catalogVersion: bytes.readUInt32LE(AT.catalogVersion),
    state: stateIn(bytes),
  };
}

export function isWhole(control: Awaited<ReturnType<typeof readControl>>): control is FoundControl {
  return !('wrong' in control);
}

function stateIn(bytes: Buffer): ControlState {
  const number = bytes.readUInt32LE(AT.state);
  const state = STATES[number] ?? `state ${number}`;
  return {
    ...{ state, clean: CLEAN.includes(state) },
    checkpointLsn: formatLsn(bytes.readBigUInt64LE(AT.checkpoint)),
    redoLsn: formatLsn(bytes.readBigUInt64LE(AT.redo)),
    timeline: bytes.readUInt32LE(AT.timeline),
    writtenAt: isoTime(Number(bytes.readBigInt64LE(AT.time)) * 1000),
  };
}
