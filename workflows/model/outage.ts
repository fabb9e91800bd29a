import type { NodeFacts } from './cluster.ts';
import type { Lsn } from './lsn.ts';
import { compareLsn } from './lsn.ts';
import type { ServerRole } from './server-role.ts';

/** How far one observer got with one node. */
export type Reached =
  /** It took a session and answered. */
  | 'answers'
  /** The port takes a connection, and nothing comes of it in time. */
  | 'hangs'
  /** Something there says that nobody listens. */
  | 'refused'
  /** Nothing comes back at all. */
  | 'unreachable'
  /** It answers, and takes no session of ours: full, starting, or a missing right. */
  | 'denied'
  /** Anything else. */
  | 'failed';

/** What became of a row that was written at a primary. */
export type Written = 'done' | 'read-only' | 'disk-full' | 'hangs' | 'failed';

/** A node as one observer saw it. */
export interface Sight {
  node: string;
  reached: Reached;
  role?: ServerRole;
  timeline?: number;
  lsn?: Lsn;
  written?: Written;
  /** Of a standby: it streams, and heard of its primary a moment ago. */
  hears?: boolean;
  /** Only from its own host: a server runs on its data directory. */
  running?: boolean;
}

/** All nodes as one observer saw them at one moment. */
export interface Observation {
  /** Host of the observer. */
  host: string;
  /** ISO 8601 UTC, by that host's clock. */
  at: string;
  sights: Sight[];
}

/** Two looks that say the same have the same digest, whatever was written meanwhile. */
export function digestOf(sights: readonly Sight[]): string {
  const said = sights.map(({ node, reached, role, written, hears, running }) =>
    [node, reached, role, written, hears, running].map((each) => String(each ?? '-')).join(' '),
  );
  return said.toSorted().join('; ');
}

export const OUTAGES = [
  ...(['none', 'process-dead', 'host-dead', 'site-cut', 'frozen'] as const),
  ...(['one-way-cut', 'standby-isolated', 'overloaded', 'disk-full', 'unknown'] as const),
] as const;
export type Outage = (typeof OUTAGES)[number];

/** Those of which a failover is the cure; in all others the primary lives, or nobody can tell. */
const GONE = ['process-dead', 'host-dead', 'site-cut', 'frozen'] as const;
export type GoneOutage = (typeof GONE)[number];

export function isGone(outage: Outage): outage is GoneOutage {
  return (GONE as readonly Outage[]).includes(outage);
}

/** What several observers say together of the primary. */
export interface OutageVerdict {
  outage: Outage;
  primary: string;
  /** It is gone for the majority of all observers, and a standby that could take over does not hear it either. */
  agreed: boolean;
  /** Its own host sees that no server runs: nothing is written there. Absent: it may write, whatever others see of it. */
  stopped?: true;
  /** Standby that could take over; absent when none answers. */
  candidate?: string;
  /** One line for each observer, and why it is not agreed. */
  why: string[];
}

export interface OutageQuestion {
  nodes: readonly NodeFacts[];
  /** Hosts that were asked to observe. */
  observers: readonly string[];
  /** Node that was seen to serve last. */
  primary: string;
  /** Of the observers that have a say now. */
  observations: readonly Observation[];
}

/**
 * The node that serves as the primary, of several the one with the highest timeline; where none does, the one that was before, or the only
 * one that is no standby.
 */
export function servingNode(
  { nodes, observations }: Pick<OutageQuestion, 'nodes' | 'observations'>,
  before: string | undefined,
): string | undefined {
  const sights = observations.flatMap((each) => each.sights).filter(({ reached }) => reached === 'answers');
  const primaries = sights.filter(({ role }) => role === 'primary');
  const [newest] = primaries.toSorted((a, b) => (b.timeline ?? 0) - (a.timeline ?? 0));
  if (newest) return newest.node;
  if (before !== undefined) return before;
  const rest = nodes.filter(({ name }) => !sights.some(({ node, role }) => node === name && role === 'standby'));
  return rest.length === 1 ? rest[0]?.name : undefined;
}

/** Nodes that serve as primaries, each once: more than one is two clusters that go their own ways. */
export function servingNodes(observations: readonly Observation[]): string[] {
  const sights = observations.flatMap((each) => each.sights);
  const serving = sights.filter(({ reached, role }) => reached === 'answers' && role === 'primary');
  return [...new Set(serving.map(({ node }) => node))].toSorted();
}

/** In the words of people. */
export function describeOutage(outage: Outage, primary: string): string {
  return `${primary} ${WORDS[outage]}`;
}

const WORDS: Record<Outage, string> = {
  ...{ none: 'serves', 'process-dead': 'runs no server', 'host-dead': 'is gone with its host' },
  ...{ 'site-cut': 'is gone with its site, or cut off', frozen: 'takes connections and answers nothing' },
  ...{ 'one-way-cut': 'serves, and not all reach it', 'standby-isolated': 'serves, and its standby does not hear it' },
  ...{ overloaded: 'lives, and does not work', 'disk-full': 'lives, and cannot write: its disk is full' },
  unknown: 'is in a state that nobody can tell',
};

interface Witness extends Sight {
  host: string;
}

/** A primary that anybody can write to is not gone, whatever all others see. */
export function judgeOutage(question: OutageQuestion): OutageVerdict {
  const { primary, observers, observations } = question;
  const seen = observations.flatMap(({ host, sights }) => sights.map((sight): Witness => ({ ...sight, host })));
  const witnesses = seen.filter(({ node }) => node === primary);
  const standbys = seen.filter(({ node, reached, role }) => node !== primary && reached === 'answers' && role === 'standby'); // prettier-ignore
  const heard = standbys.some(({ hears }) => hears === true);
  const outage = classOf(question, { witnesses, heard, standbys });
  const candidate = candidateOf(standbys);
  const votes = witnesses.filter(isDown).length;
  const objections = [
    ...(votes * 2 > observers.length ? [] : [`only ${votes} of ${observers.length} observers see it gone`]),
    ...(candidate === undefined ? ['no standby answers'] : []),
    ...(heard ? ['a standby hears it still'] : []),
  ];
  const agreed = isGone(outage) && objections.length === 0;
  const why = [...witnesses.map(describeSight), ...silentOnes(question), ...(isGone(outage) ? objections : [])];
  const isStopped = isGone(outage) && witnesses.some(({ running }) => running === false);
  const more = { ...(isStopped ? { stopped: true as const } : {}), ...(candidate === undefined ? {} : { candidate }) };
  return { outage, primary, agreed, why, ...more };
}

/** Nothing of ours gets anything out of it. One that answers `denied` lives. */
function isDown({ reached, running }: Sight): boolean {
  return running === false || (reached !== 'answers' && reached !== 'denied');
}

interface Seen {
  witnesses: readonly Witness[];
  standbys: readonly Witness[];
  heard: boolean;
}

function classOf(question: OutageQuestion, seen: Seen): Outage {
  const { witnesses } = seen;
  const serving = witnesses.filter(({ reached, role }) => reached === 'answers' && role === 'primary');
  if (serving.length > 0) return livingOutage(question, serving, seen);
  if (question.observations.length * 2 <= question.observers.length) return 'unknown';
  if (witnesses.some(({ running }) => running === false)) return 'process-dead';
  // A server that answers anything lives; one that answers as a standby is for a person to look at.
  if (witnesses.some(({ reached }) => reached === 'denied')) return 'overloaded';
  if (witnesses.some(({ reached }) => reached === 'answers')) return 'unknown';
  if (witnesses.some(({ reached }) => reached === 'hangs')) return 'frozen';
  const refused = witnesses.some(({ reached }) => reached === 'refused');
  // Its own host sees the server run: what does not get there is the network, or it begins only now.
  if (witnesses.some(({ running }) => running === true)) return refused ? 'unknown' : 'one-way-cut';
  if (refused) return 'process-dead';
  if (witnesses.every(({ reached }) => reached === 'failed')) return 'unknown';
  return farOutage(question);
}

function livingOutage(
  { nodes }: OutageQuestion,
  serving: readonly Witness[],
  { witnesses, standbys, heard }: Seen,
): Outage {
  const written = new Set(serving.map((each) => each.written));
  if (!written.has('done')) {
    if (written.has('disk-full')) return 'disk-full';
    if (written.has('hangs') || written.has('failed')) return 'overloaded';
  }
  const blind = witnesses.filter(isDown);
  const hostsOfStandbys = nodes.filter(({ name }) => name !== witnesses[0]?.node).map(({ host }) => host);
  const onlyTheirs = blind.every(({ host }) => hostsOfStandbys.includes(host));
  if (written.has('done') && !heard && standbys.length > 0 && onlyTheirs) return 'standby-isolated';
  return blind.length > 0 ? 'one-way-cut' : 'none';
}

/** Nothing of its host answers: others of its site tell whether it is the host or all of the site. */
function farOutage({ nodes, primary, observations }: OutageQuestion): Outage {
  const own = nodes.find(({ name }) => name === primary);
  const neighbours = nodes.filter(({ site, host }) => site === own?.site && host !== own.host);
  const sightsOf = (name: string): Sight[] =>
    observations.flatMap(({ sights }) => sights.filter(({ node }) => node === name));
  const isThere = neighbours.some(
    ({ name, host }) =>
      observations.some((each) => each.host === host) || sightsOf(name).some((sight) => !isDown(sight)),
  );
  return isThere ? 'host-dead' : 'site-cut';
}

/** The standby that has most. */
function candidateOf(standbys: readonly Witness[]): string | undefined {
  const [best] = standbys.toSorted(
    (a, b) => (b.timeline ?? 0) - (a.timeline ?? 0) || compareLsn(b.lsn ?? '0/0', a.lsn ?? '0/0'),
  );
  return best?.node;
}

function describeSight({ host, reached, role, written, running }: Witness): string {
  if (reached === 'answers') return `${host}: a ${role ?? 'server'} that answers${written && written !== 'done' ? `, a write: ${written}` : ''}`; // prettier-ignore
  return `${host}: ${running === false ? 'no server runs' : reached}`;
}

function silentOnes({ observers, observations }: OutageQuestion): string[] {
  const silent = observers.filter((host) => !observations.some((each) => each.host === host));
  return silent.length > 0 ? [`no word from ${silent.join(', ')}`] : [];
}
