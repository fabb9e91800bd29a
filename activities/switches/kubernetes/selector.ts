import { failure } from '../../../workflows/model/failure.ts';
import type { Traffic } from '../../../workflows/model/traffic.ts';
import { describeTraffic } from '../../../workflows/model/traffic.ts';
import { checkSites } from '../sites.ts';
import type { Json, KubeObject } from './object.ts';
import { listing, mapping } from './object.ts';
import type { KubeWay } from './way.ts';

/** No pod has this label: a Service without any selector would keep the endpoints that it has. */
const NOBODY: Json = { 'lifeboat/stopped': 'true' };

/** The selector of a Service: it leads to the pods of one site, or to nobody. */
export function selectorWay(switchName: string, labels: Readonly<Record<string, Json>>): KubeWay {
  const selectorFor = (to: Traffic): Json => labels[Object.keys(to)[0] ?? ''] ?? NOBODY;
  return {
    checkWish: (to) => {
      checkSites(switchName, to, Object.keys(labels));
      if (Object.keys(to).length > 1 || Object.values(to).some((share) => share !== 100)) throw oneSite(switchName, to);
    },
    trafficOf: (seen) => {
      const selector = mapping(mapping(seen[0]?.json['spec'])['selector']);
      if (sameLabels(selector, NOBODY)) return {};
      const site = Object.keys(labels).find((name) => sameLabels(labels[name] ?? {}, selector));
      if (site !== undefined) return { [site]: 100 };
      throw elsewhere(switchName, { selector, labels });
    },
    changeOf: ({ json }, to) => {
      const now = mapping(mapping(json['spec'])['selector']);
      const wanted = selectorFor(to);
      if (sameLabels(now, wanted)) return undefined;
      const gone = Object.fromEntries(Object.keys(now).map((key) => [key, null]));
      return { spec: { selector: { ...gone, ...wanted } } };
    },
    confirm: async (seen, to) => {
      const object = seen[0]?.object;
      if (!object) throw failure('Bug', 'a Service that was not read');
      const [ready, pods] = await Promise.all([readyPods(object), podsOf(object, selectorFor(to))]);
      const strangers = ready.filter((name) => !pods.has(name));
      const own = ready.length - strangers.length;
      const isRight = Object.keys(to).length === 0 ? ready.length === 0 : own > 0 && strangers.length === 0;
      return { ok: isRight, found: `${own} ready pods of ${describeTraffic(to)}, ${strangers.length} others` };
    },
  };
}

/** Behind the Service, as every node's proxy learns it. */
async function readyPods(object: KubeObject): Promise<string[]> {
  const slices = await object.list('discovery.k8s.io/v1', 'endpointslices', {
    'kubernetes.io/service-name': object.place.name,
  });
  return slices
    .flatMap((slice) => listing(slice['endpoints']))
    .filter((endpoint) => mapping(endpoint['conditions'])['ready'] !== false)
    .map((endpoint) => String(mapping(endpoint['targetRef'])['name'] ?? 'unknown'));
}

async function podsOf(object: KubeObject, selector: Json): Promise<Set<string>> {
  const pods = await object.list('v1', 'pods', selector);
  return new Set(pods.map((pod) => String(mapping(pod['metadata'])['name'])));
}

function sameLabels(one: Json, other: Json): boolean {
  const text = (labels: Json): string => JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
  return text(one) === text(other);
}

function oneSite(switchName: string, to: Traffic): Error {
  return failure('ConfigInvalid', `switch ${switchName} leads to one site only`, {
    ...{ place: `switches.${switchName}`, expected: '100 % to one site, or stopped', found: describeTraffic(to) },
    hint: 'move all of it',
  });
}

function elsewhere(switchName: string, { selector, labels }: { selector: Json; labels: object }): Error {
  return failure('Precondition', `switch ${switchName}: the Service selects the pods of no site`, {
    ...{ place: `switches.${switchName}.sites`, expected: JSON.stringify(labels), found: JSON.stringify(selector) },
    hint: 'correct the selector, or declare its labels under sites:',
  });
}
