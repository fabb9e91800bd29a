import { failure } from '../../../../workflows/model/failure.ts';
import type { ForensicFacts } from '../../../../workflows/model/forensic.ts';
import { readControl } from './control-state.ts';
import type { DownServer } from './down-server.ts';
import { refuseOccupied } from './down-server.ts';
import type { WholeTree } from './list-whole.ts';

type Changed = NonNullable<ForensicFacts['changed']>;

/** A server in another container is not among our processes: it writes pg_control when it starts, and at each checkpoint. */
export async function refuseStarted({ directory, control }: DownServer): Promise<void> {
  await refuseOccupied(directory);
  const now = await readControl(directory);
  const isSame = now.bytes === undefined ? control.bytes === undefined : control.bytes?.equals(now.bytes) === true;
  if (isSame) return;
  throw failure('Precondition', `a server was started on ${directory} while its files were copied`, {
    place: directory,
    expected: 'global/pg_control as it was before',
    found: 'another content',
    hint: END_IT,
  });
}

const END_IT = 'nothing of this copy is kept; end that server, or copy through it: --forensic backup';

/** What is not as it was before all was read: came, went, or was written to. */
export function changedSince(before: readonly WholeTree[], after: readonly WholeTree[]): Changed {
  return after.flatMap((tree) => {
    const was = statesOf(before.find(({ id }) => id === tree.id));
    const changed: Changed = [];
    for (const [path, state] of statesOf(tree)) {
      if (was.get(path) !== state) changed.push({ tree: tree.id, path });
      was.delete(path);
    }
    return [...changed, ...[...was.keys()].map((path) => ({ tree: tree.id, path }))];
  });
}

/** Of a folder it is told by what is in it. */
function statesOf(tree: WholeTree | undefined): Map<string, string> {
  const states = new Map<string, string>();
  for (const { path, type, bytes, mtimeMs } of tree?.files ?? [])
    states.set(path, type === 'directory' ? type : `${bytes} ${mtimeMs}`);
  for (const { path, target } of tree?.links ?? []) states.set(path, `to ${target}`);
  return states;
}

/** What a server writes, and nobody else has a reason to; logs and configuration a person may touch. */
const OF_A_SERVER = /^(postmaster\.pid$|(global|base|pg_(?!log\/)\w+)\/)/;

/** One that our host does not see is known by what it writes. */
export function refuseWorkedOn({ directory }: DownServer, changed: Changed): void {
  const found = changed.filter(({ tree, path }) => tree !== 'base' || OF_A_SERVER.test(path));
  if (found.length === 0) return;
  const first = found.slice(0, 3).map(({ tree, path }) => (tree === 'base' ? path : `pg_tblspc/${tree}/${path}`));
  throw failure('Precondition', `somebody wrote to ${directory} while its files were copied`, {
    place: directory,
    expected: 'files as they were before',
    found: `${found.length} that changed: ${first.join(', ')}`,
    hint: `is there a server in another container? ${END_IT}`,
  });
}
