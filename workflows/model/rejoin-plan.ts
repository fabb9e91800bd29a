import type { ClusterFacts, NodeFacts } from './cluster.ts';
import { peerSlot } from './cluster.ts';
import type { PlanStep } from './failover.ts';
import type { RejoinPath } from './rejoin.ts';

export interface RejoinQuestion {
  cluster: ClusterFacts;
  node: NodeFacts;
  primary: NodeFacts;
  path: RejoinPath | 'none';
  /** What only it has; absent: nothing. untold: its WAL cannot tell. */
  givesUp?: 'known' | 'untold';
}

/** What a rejoin does, in its order. */
export function rejoinSteps(question: RejoinQuestion): PlanStep[] {
  const { node, primary, path } = question;
  if (path === 'none') return [{ what: `write a marker on ${primary.name}, and read it on ${node.name}` }];
  return [
    { what: `keep ${node.name} from serving: standby.signal first, then a server that runs is ended` },
    { what: `compare ${node.name} with ${primary.name} once it is down` },
    ...signOffSteps(question),
    { what: `let ${primary.name} keep what ${node.name} needs, in slot ${peerSlot(node.name)}` },
    ...pathSteps(question, path),
    { what: `start ${node.name} as a standby of ${primary.name}, and prove it: streams, timeline, a marker` },
    { what: `remove what was kept beside ${node.dataDir}` },
  ];
}

function signOffSteps({ cluster, node, givesUp }: RejoinQuestion): PlanStep[] {
  if (givesUp === undefined) return [];
  const { of, from } = cluster.approvals.unplanned;
  const who = from.length > 0 ? ` of ${from.join(', ')}` : '';
  const ask = `ask for ${of} approval${of === 1 ? '' : 's'}${who}`;
  if (givesUp === 'untold') return [{ what: `${ask} to give up what only ${node.name} has, which nobody can list` }];
  return [
    { what: `keep in the vault what only ${node.name} has` },
    { what: `${ask}, by the list of its commits, to give it up` },
  ];
}

function pathSteps({ node, primary }: RejoinQuestion, path: RejoinPath): PlanStep[] {
  const copy = `copy ${primary.name} beside ${node.dataDir}, every file checked, and let the two change places`;
  if (path === 'follow') return [{ what: `make a standby of ${node.name} as it is` }];
  if (path === 'reseed') return [{ what: copy }];
  return [
    { what: `checkpoint ${primary.name}` },
    { what: `rewind ${node.name}; where that does not do: ${copy}`, pointOfNoReturn: true },
  ];
}
