import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from '../../workflows/model/failure.ts';
import { translateFileError } from '../io/file-failure.ts';
import type { CommandResult } from '../io/run-command.ts';
import { runCommand } from '../io/run-command.ts';
import { clonePlace } from './clone.ts';
import type { NodeUse } from './node.ts';
import { binariesOf, ownerOf } from './node.ts';
import { saidBy } from './rewind.ts';

const PROGRAM = 'pg_waldump';

/**
 * Refuses a clone whose WAL makes a tablespace: its replay would make it at the very path that the server has it at, on this host, and
 * write into the server's own files (manual 25.3, "Caveats"). Those that were there when the copy began are in places of their own.
 */
export async function refuseNewTablespaces(use: NodeUse): Promise<void> {
  const { data } = clonePlace(use.node);
  const label = join(data, 'backup_label');
  // It goes away when replay has begun, before which this was looked at.
  if (!existsSync(label)) return;
  const text = await translateFileError(label, () => readFile(label, 'utf8'));
  const start = /^START WAL LOCATION: ([0-9A-F]+\/[0-9A-F]+) /m.exec(text)?.[1];
  const timeline = /^START TIMELINE: (\d+)$/m.exec(text)?.[1];
  if (start === undefined || timeline === undefined) throw unreadable(use, `${label}: ${text.slice(0, 200)}`);
  const from = ['-p', join(data, 'pg_wal'), '-t', timeline, '-s', start];
  // The end of the WAL is no whole record, which the program says like anything else that it cannot read: that it can read is seen first.
  const first = await waldump(use, [...from, '-n', '1']);
  if (first.code !== 0) throw unreadable(use, saidBy(first));
  const { stdout } = await waldump(use, [...from, '-r', 'Tablespace']);
  const made = stdout.split('\n').filter((line) => /\bCREATE\b/.test(line));
  if (made.length === 0) return;
  throw failure(
    'Precondition',
    `a tablespace was made a moment ago on ${use.name}: its clone would write where the server does`,
    {
      ...{
        place: join(data, 'pg_wal'),
        expected: 'no tablespace that is made in it',
        found: made.at(0)?.slice(0, 300) ?? '',
      },
      hint: `checkpoint the primary and ${use.name}, then start the drill again`,
    },
  );
}

async function waldump(use: NodeUse, args: string[]): Promise<CommandResult> {
  const as = await ownerOf(use);
  const path = join(await binariesOf(use), PROGRAM);
  return runCommand(path, args, { signal: use.run.signal, env: {}, ...(as ? { as } : {}) });
}

function unreadable({ name }: NodeUse, found: string): Error {
  return failure('Integrity', `the WAL of the clone of ${name} cannot be read`, {
    ...{ place: PROGRAM, expected: 'a record where the copy began', found },
    hint: 'the clone is removed; see the log of the standby',
  });
}
