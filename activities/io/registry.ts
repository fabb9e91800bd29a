import { failure } from '../../workflows/model/failure.ts';
import { nearestName } from '../../workflows/model/nearest.ts';

/** The kinds of one family: an explicit list, so that types, bundling and order hold. */
export interface Registry<Kind extends { readonly kind: string }> {
  readonly kinds: readonly Kind[];
  /** ConfigInvalid with the nearest known name when there is none of that kind. */
  find(kind: string): Kind;
}

/** Refuses (Bug) two members of one kind: the second could never be found. */
export function registryOf<Kind extends { readonly kind: string }>(
  family: string,
  kinds: readonly Kind[],
): Registry<Kind> {
  const byName = new Map(kinds.map((member) => [member.kind, member]));
  const twice = kinds.find((member) => byName.get(member.kind) !== member);
  if (twice) throw failure('Bug', `${family} kind "${twice.kind}" is registered twice`, { found: twice.kind });
  const find = (kind: string): Kind => {
    const found = byName.get(kind);
    if (found) return found;
    const near = nearestName(kind, [...byName.keys()]);
    throw failure('ConfigInvalid', `${family} kind "${kind}" is unknown`, {
      expected: [...byName.keys()].join(', '),
      found: kind,
      hint: near === undefined ? 'lifeboat config check' : `write kind: ${near}`,
    });
  };
  return Object.freeze({ kinds: Object.freeze([...kinds]), find });
}
