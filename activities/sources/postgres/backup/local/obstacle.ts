import { failure } from '../../../../../workflows/model/failure.ts';
import type { OneServer } from '../../options.ts';

/** What stands in the way of reading the files of a server here. */
export interface Obstacle {
  expected: string;
  found: string;
  hint: string;
}

export function refuseObstacle(options: OneServer, obstacle: Obstacle, where: { says: string; set: string }): never {
  const { expected, found, hint } = obstacle;
  throw failure('Precondition', `${where.says}: ${found}`, {
    place: options.files.dataDirectory ?? 'files.dataDirectory',
    expected,
    found,
    hint: `${hint}; or set files.read: ${where.set}`,
  });
}
