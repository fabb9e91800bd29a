import type { ServiceFacts, SwitchFacts } from '../workflows/model/service.ts';
import { failure, failureFacts, findFailure } from '../workflows/model/failure.ts';
import { nearestName } from '../workflows/model/nearest.ts';
import { addressText, parseAddress } from '../workflows/model/traffic.ts';
import type { Check } from '../workflows/model/recovery.ts';
import { withRun } from './activity-run.ts';
import { findServiceCheck } from './checks/index.ts';
import type { CheckedPlace, CheckUse } from './checks/index.ts';
import type { ServiceConfig } from './config/index.ts';
import type { Deps } from './deps.ts';
import type { Run } from './io/run.ts';
import { findSwitch } from './switches/index.ts';
import { sourceConfig, useSource } from './use-source.ts';

export interface ServiceTask {
  source: string;
  /** Needed where several stand on the source. */
  service?: string;
}

/** What a run needs to know of the service of a source; reads the configuration only. NotFound, ConfigInvalid. */
export async function describeService(deps: Deps, task: ServiceTask): Promise<ServiceFacts> {
  sourceConfig(deps, task.source);
  const [service, config] = findService(deps, task);
  const { listen, address, approval, steps } = config;
  const traffic = config.traffic.map((name) => ({ name, ...switchFacts(deps, name) }));
  return {
    ...{ service, source: task.source, traffic, listen, address, approval },
    steps: traffic.every(({ weighted }) => weighted) ? steps : [100],
    checks: config.checks.map(({ name }) => name),
  };
}

function switchFacts(deps: Deps, name: string): Omit<SwitchFacts, 'name'> {
  const { kind = '', options, host } = deps.config.switches[name] ?? {};
  const found = findSwitch(kind);
  const sites = found.sites(options);
  return {
    ...{ kind, weighted: found.weighted(options), ...found.words(options) },
    ...(sites === undefined ? {} : { sites }),
    ...(found.overlaps(options) ? { overlaps: true as const } : {}),
    ...(found.stops(options) ? {} : { stops: false as const }),
    ...(host === undefined ? {} : { host }),
  };
}

function findService(deps: Deps, { source, service }: ServiceTask): [string, ServiceConfig] {
  const all = Object.entries(deps.config.services);
  const own = all.filter(([, config]) => config.source === source);
  const found = service === undefined ? own : own.filter(([name]) => name === service);
  const [first, ...more] = found;
  if (first && more.length === 0) return first;
  if (more.length > 0) {
    throw failure('ConfigInvalid', `several services stand on source ${source}`, {
      place: `services in ${deps.config.path}`,
      expected: `one of ${own.map(([name]) => name).join(', ')}`,
      found: 'no name',
      hint: `lifeboat recover ${source} --service ${first?.[0] ?? 'NAME'}`,
    });
  }
  const near =
    service === undefined
      ? undefined
      : nearestName(
          service,
          own.map(([name]) => name),
        );
  throw failure(
    'NotFound',
    service === undefined
      ? `no service stands on source ${source}`
      : `service ${service} does not stand on source ${source}`,
    {
      place: `services in ${deps.config.path}`,
      expected: own.length > 0 ? `one of ${own.map(([name]) => name).join(', ')}` : `a service with source: ${source}`,
      found: service ?? 'none',
      hint:
        near === undefined
          ? `declare what sends its traffic under services:, or recover it beside production: lifeboat restore ${source}`
          : `did you mean ${near}?`,
    },
  );
}

/** A number for a run, above all that were taken before it; its moves carry it. A repeat gets the same. */
export async function takeEpoch(
  deps: Deps,
  { source, ...order }: { source: string; run: string; atLeast: number },
): Promise<{ epoch: number }> {
  return useSource(deps, source, async ({ vault }) => ({ epoch: await vault.takeEpoch(order) }));
}

export interface CheckTask {
  source: string;
  service: string;
  /** "host:port" that is checked. */
  at: string;
}

/** Runs every check of a service against an address; one that fails is an answer and no failure. */
export function checkService(deps: Deps, { source, service, at }: CheckTask): Promise<Check[]> {
  const place = parseAddress(at) ?? { host: at, port: 0 };
  const name = addressText(place);
  return withRun(deps, (run) => runChecks(deps, { source, service }, { run, at: { ...place, name, environment: {} } }));
}

/** All at once; one that cannot be asked at all is an answer, too. */
export async function runChecks(
  deps: Deps,
  { source, service }: { source: string; service: string },
  { run, at }: { run: Run; at: CheckedPlace },
): Promise<Check[]> {
  const [, { checks }] = findService(deps, { source, service });
  run.progress({ phase: `check ${at.name}` });
  return Promise.all(checks.map((check) => answerOf(check, { service, name: check.name, at, run })));
}

async function answerOf({ kind, options }: ServiceConfig['checks'][number], use: CheckUse): Promise<Check> {
  const { at, run } = use;
  const name = `${use.name} at ${at.name}`;
  const check = findServiceCheck(kind);
  const elsewhere = at.isCopy ? check.asks(options) : undefined;
  if (elsewhere !== undefined)
    return { name, ok: true, expected: 'left out', found: `left out: it asks ${elsewhere}, which is no copy` };
  try {
    return { name, ...(await check.ask(options, use)) };
  } catch (error) {
    run.signal.throwIfAborted();
    const failed = findFailure(error);
    if (!failed) throw error;
    return { name, ok: false, expected: failureFacts(error).expected ?? 'an answer', found: failed.message };
  }
}
