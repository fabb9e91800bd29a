import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { measure } from '../measured.ts';
import type { WalSpan } from './contestant.ts';
import type { Grounds } from './grounds.ts';
import { segmentsOf } from './segments.ts';

/** Hands the segments of a span, as they lie at the server, to a command that takes the path of one; some at once. */
export async function pushSegments(grounds: Grounds, span: WalSpan, command: readonly string[]): Promise<void> {
  const folder = join(grounds.cluster.server.dataDir, 'pg_wal');
  const list = segmentsOf(span)
    .map((name) => join(folder, name))
    .join('\n');
  if (list === '') return;
  const script = `cd / && list=$1 && shift && echo "$list" | xargs -P ${availableParallelism()} -n 1 "$@" 2>&1`;
  await measure(script, [list, ...command]);
}
