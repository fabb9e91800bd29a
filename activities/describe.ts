import type { SourceFacts } from '../workflows/model/results.ts';
import type { Deps } from './deps.ts';
import { findSource } from './sources/index.ts';
import { sourceConfig } from './use-source.ts';

/** What a run needs to know of its source before it begins; reads the configuration only. NotFound for an unknown name. */
export function describeSource(deps: Deps, { source }: { source: string }): Promise<SourceFacts> {
  const config = sourceConfig(deps, source);
  const { rtoMs, rpoMs } = config.objectives;
  const { describe, dumps } = findSource(config.kind);
  return Promise.resolve({
    source,
    kind: config.kind,
    place: describe(config.options),
    ...(dumps ? { dumps } : {}),
    store: config.store,
    ...(rtoMs === undefined ? {} : { rtoMs }),
    ...(rpoMs === undefined ? {} : { rpoMs }),
    newBaseAfterHole: config.wal.newBaseAfterHole,
    ...(config.wal.archive ? { walHost: config.wal.archive.host } : {}),
    ...(config.approval ? { approval: config.approval } : {}),
    ...(config.wal.streams === undefined ? {} : { walStreams: config.wal.streams }),
    ...(config.wal.hosts === undefined ? {} : { walHosts: config.wal.hosts }),
    notify: config.notify.length > 0,
    notifiers: config.notify.map((name) => ({ name, tells: deps.config.notifiers[name]?.tells ?? {} })),
    ...(config.escalation ? { escalation: config.escalation } : {}),
    searchAttributes: deps.searchAttributes,
  });
}
