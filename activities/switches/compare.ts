import { failure } from '../../workflows/model/failure.ts';
import type { Move, Observed } from '../../workflows/model/traffic.ts';
import { describeTraffic, sameTraffic } from '../../workflows/model/traffic.ts';

/**
 * What a compare-and-set still has to do where `seen` is what the switch says: `nothing`, tell it the `token` only (it stands
 * there already), or `move`. Precondition when it has seen a higher token, or is neither here nor there.
 */
export function stillToDo(name: string, seen: Observed, { from, to, token }: Move): 'nothing' | 'token' | 'move' {
  if (seen.token > token) throw stale(name, { token, seen: seen.token });
  // The same place under an older token: only a move of ours makes it ours.
  if (sameTraffic(seen.traffic, to)) return seen.token < token ? 'token' : 'nothing';
  if (sameTraffic(seen.traffic, from)) return 'move';
  throw failure('Precondition', `switch ${name} sends traffic elsewhere than expected`, {
    place: `switches.${name}`,
    expected: describeTraffic(from),
    found: describeTraffic(seen.traffic),
    hint: 'somebody else has moved it: look, then start again',
  });
}

export function stale(name: string, { token, seen }: { token: number; seen: number }): Error {
  return failure('Precondition', `switch ${name} obeys a newer run`, {
    place: `switches.${name}`,
    expected: `no token above ${token}`,
    found: `token ${seen}`,
    hint: 'lifeboat status: another run has taken over; this one must not move anything any more',
  });
}
