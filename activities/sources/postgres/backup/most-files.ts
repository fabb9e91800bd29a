import { failure } from '../../../../workflows/model/failure.ts';

/** The list of a point's files is held in memory, and is one JSON text that has to fit into a string. */
export const MOST_FILES = 2_500_000;

/** Unsupported when a cluster has more files than one point can list: said when they are counted, not when all are copied. */
export function checkFileCount(count: number): void {
  if (count <= MOST_FILES) return;
  throw failure('Unsupported', `cluster has more than ${MOST_FILES} files`, {
    place: 'data directory',
    expected: `at most ${MOST_FILES} files and folders: one backup lists them all`,
    found: `${count} or more`,
    hint: 'spread its databases over several clusters; its largest tables can be dumped meanwhile: a source of kind postgres-logical',
  });
}
