import { slotName, streamSlots } from '../../workflows/model/names.ts';
import { nearestName } from '../../workflows/model/nearest.ts';
import { PRIORITIES } from '../../workflows/model/severity.ts';
import { clusterProblems } from './cluster-checks.ts';
import { isDumped, standsOnHost, usualOf } from './registries.ts';
import type { Path, RawProblem } from './problem.ts';
import type { ConfigFile } from './schema.ts';

/** What no single value can know: that names point at something, and that no two sources use one slot. */
export function crossProblems(file: ConfigFile): RawProblem[] {
  return [
    ...[...unknownNames(file), ...sharedSlots(file), ...archives(file), ...severalStreams(file)],
    ...[...sharedSockets(file), ...hostless(file)],
    ...[...retentionWithoutRules(file), ...serviceProblems(file), ...ofDumps(file)],
    ...clusterProblems(file),
    ...[...untoldDelays(file), ...escalationsOfNothing(file)],
  ];
}

/** The worker on the database's host takes the files, at a socket that the server's user can reach. */
function archives(file: ConfigFile): RawProblem[] {
  return Object.entries(file.sources).flatMap(([name, { wal }]) => {
    const lacking = (['host', 'socket'] as const).filter((key) => wal[key] === undefined);
    const extra = (['host', 'socket'] as const).filter((key) => wal[key] !== undefined);
    if (wal.receive === 'archive')
      return [
        ...lacking.map((key) => ({
          path: ['sources', name, 'wal'],
          reason: `lacks "${key}", which receive: archive needs`,
          expected:
            key === 'host' ? "the name of the worker on the database's host" : 'an absolute path for the socket',
          found: 'nothing',
        })),
        ...(wal.synchronous
          ? [
              {
                path: ['sources', name, 'wal', 'synchronous'],
                reason: 'commits can wait for a stream only',
                expected: 'receive: stream, or synchronous: false',
                found: 'true',
              },
            ]
          : []),
      ];
    return extra.map((key) => ({
      path: ['sources', name, 'wal', key],
      reason: 'goes with receive: archive',
      expected: 'receive: archive',
      found: JSON.stringify(wal[key]),
    }));
  });
}

/** A socket is that of one source, and for one thing. */
function sharedSockets(file: ConfigFile): RawProblem[] {
  const taken = new Map<string, string>();
  return Object.entries(file.sources).flatMap(([name, { wal }]) =>
    (['socket', 'fetchSocket'] as const).flatMap((key) => {
      const socket = wal[key];
      if (socket === undefined) return [];
      const other = taken.get(socket);
      taken.set(socket, `sources.${name}.wal.${key}`);
      if (other === undefined) return [];
      const reason = `is that of ${other}, too`;
      return [{ path: ['sources', name, 'wal', key], reason, expected: 'a socket of its own', found: `"${socket}"` }];
    }),
  );
}

/** Any worker would take it then, and write a file on its own host that nobody reads. */
function hostless(file: ConfigFile): RawProblem[] {
  return Object.entries(file.switches).flatMap(([name, { kind, host }]) => {
    const what = standsOnHost(kind);
    if (what === undefined || host !== undefined) return [];
    const expected = `the name of the worker on the host of ${what}`;
    return [
      { path: ['switches', name, 'host'], reason: `is missing: kind ${kind} needs it`, expected, found: 'nothing' },
    ];
  });
}

/** Each on a host of its own, or on any. */
function severalStreams(file: ConfigFile): RawProblem[] {
  return Object.entries(file.sources).flatMap(([name, { wal }]) => {
    const { receive, streams, hosts } = wal;
    const problem = (key: 'streams' | 'hosts', reason: string, expected: string): RawProblem[] => [
      { path: ['sources', name, 'wal', key], reason, expected, found: JSON.stringify(wal[key]) },
    ];
    if (receive === 'archive' && streams > 1)
      return problem('streams', 'an archiver hands its files to one worker', 'receive: stream, or streams: 1');
    if (receive === 'archive' && hosts)
      return problem('hosts', 'goes with receive: stream', 'host: the name of the worker');
    if (!hosts) return [];
    const named = `names ${hosts.length} workers for ${streams} ${streams === 1 ? 'stream' : 'streams'}`;
    if (hosts.length !== streams) return problem('hosts', named, 'a worker for each of wal.streams');
    if (new Set(hosts).size === hosts.length) return [];
    return problem('hosts', 'names a worker twice', 'a worker of its own for each stream');
  });
}

function unknownNames(file: ConfigFile): RawProblem[] {
  const stores = Object.keys(file.stores);
  const notifiers = Object.keys(file.notifiers);
  return Object.entries(file.sources).flatMap(([name, source]) => [
    ...missing(['sources', name, 'store'], { name: source.store, known: stores, what: 'store' }),
    ...source.notify.flatMap((notifier, index) =>
      missing(['sources', name, 'notify', index], { name: notifier, known: notifiers, what: 'notifier' }),
    ),
    ...source.escalation.flatMap(({ to }, index) =>
      missing(['sources', name, 'escalation', index, 'to'], { name: to, known: notifiers, what: 'notifier' }),
    ),
  ]);
}

/** A delay of what is never told says that somebody believes it is. */
function untoldDelays(file: ConfigFile): RawProblem[] {
  return Object.entries(file.notifiers).flatMap(([name, { kind, severities = usualOf(kind).priorities, after }]) =>
    PRIORITIES.flatMap((each) =>
      after[each] === undefined || severities.includes(each)
        ? []
        : [
            {
              path: ['notifiers', name, 'after', each],
              reason: 'delays what this notifier does not tell',
              expected: severities.length > 0 ? `one of ${severities.join(', ')}` : 'severities',
              found: each,
            },
          ],
    ),
  );
}

/** Nobody is told first, so nothing is there to acknowledge. */
function escalationsOfNothing(file: ConfigFile): RawProblem[] {
  return Object.entries(file.sources).flatMap(([name, { notify, escalation }]) =>
    escalation.length === 0 || notify.length > 0
      ? []
      : [
          {
            path: ['sources', name, 'escalation'],
            reason: 'escalates what nobody is told first',
            expected: `sources.${name}.notify`,
            found: 'none',
          },
        ],
  );
}

/** A switch that two services move would be moved by one under the feet of the other. */
function serviceProblems(file: ConfigFile): RawProblem[] {
  const [sources, switches] = [Object.keys(file.sources), Object.keys(file.switches)];
  const owners = new Map<string, string>();
  return Object.entries(file.services).flatMap(([name, { source, traffic }]) => [
    ...missing(['services', name, 'source'], { name: source, known: sources, what: 'source' }),
    ...traffic.flatMap((each, index) => {
      const path = ['services', name, 'traffic', index];
      const owner = owners.get(each);
      owners.set(each, name);
      if (owner === undefined) return missing(path, { name: each, known: switches, what: 'switch' });
      const reason = owner === name ? 'names a switch twice' : `names a switch of service ${owner}`;
      return [{ path, reason, expected: 'a switch of its own', found: JSON.stringify(each) }];
    }),
  ]);
}

function missing(path: Path, use: { name: string; known: readonly string[]; what: string }): RawProblem[] {
  if (use.known.includes(use.name)) return [];
  const near = nearestName(use.name, use.known);
  const meant = near === undefined ? '' : `, did you mean "${near}"?`;
  return [
    {
      path,
      reason: `names a ${use.what} that is not declared${meant}`,
      expected:
        use.known.length > 0
          ? `one of ${use.known.join(', ')}`
          : `a ${use.what} under ${use.what}${use.what.endsWith('ch') ? 'es' : 's'}:`,
      found: JSON.stringify(use.name),
    },
  ];
}

function retentionWithoutRules(file: ConfigFile): RawProblem[] {
  return Object.entries(file.sources).flatMap(([name, { schedule, retention }]) => {
    if (!schedule.retention || retention) return [];
    return [
      {
        path: ['sources', name, 'schedule', 'retention'],
        reason: 'orders a retention that is not declared',
        expected: `sources.${name}.retention, like { window: 14d, daily: 30 }`,
        found: 'none',
      },
    ];
  });
}

/** Two streams on one slot would take WAL from each other, so that neither is whole. */
function sharedSlots(file: ConfigFile): RawProblem[] {
  const owners = new Map<string, string>();
  return streamed(file).flatMap(([name, source]) => {
    const slots = streamSlots(slotOf(name, source.wal.slot), source.wal.streams);
    const taken = slots.find((slot) => owners.has(slot));
    const owner = taken === undefined ? undefined : owners.get(taken);
    for (const slot of slots) owners.set(slot, owners.get(slot) ?? name);
    if (owner === undefined) return [];
    return [
      {
        path: ['sources', name, ...(source.wal.slot === undefined ? [] : ['wal', 'slot'])],
        reason: `uses the replication slot of source ${owner}`,
        expected: 'a slot of its own (wal.slot)',
        found: JSON.stringify(taken),
      },
    ];
  });
}

function streamed(file: ConfigFile): [string, ConfigFile['sources'][string]][] {
  return Object.entries(file.sources).filter(([, { kind }]) => !isDumped(kind));
}

/** A dump is whole and of one moment. */
function ofDumps(file: ConfigFile): RawProblem[] {
  return Object.entries(file.sources).flatMap(([name, source]) =>
    (['incremental', 'differential', 'walVerify'] as const).flatMap((each) =>
      source.schedule[each] === undefined || !isDumped(source.kind)
        ? []
        : [
            {
              path: ['sources', name, 'schedule', each],
              reason: `is nothing that a source of kind ${source.kind} has`,
              expected: 'schedule.backup: each dump is whole',
              found: each,
            },
          ],
    ),
  );
}

export function slotOf(source: string, configured: string | undefined): string {
  return configured ?? slotName(source);
}
