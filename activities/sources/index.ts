import { failure } from '../../workflows/model/failure.ts';
import { postgresSource } from './postgres/index.ts';
import type { Source } from './source.ts';

/** Every kind of source. */
export const SOURCES: readonly Source[] = [postgresSource];

export function findSource(kind: string): Source {
  const found = SOURCES.find((source) => source.kind === kind);
  if (found) return found;
  const known = SOURCES.map((source) => source.kind).join(', ');
  throw failure('ConfigInvalid', `source kind "${kind}" is unknown`, {
    expected: known,
    found: kind,
    hint: 'lifeboat config check',
  });
}
