import { failure } from '../../../workflows/model/failure.ts';
import type { Confirmation, Move, Observed, Traffic } from '../../../workflows/model/traffic.ts';
import { kubeAccess } from '../../io/kubernetes/access.ts';
import { KubeApi } from '../../io/kubernetes/api.ts';
import type { Run } from '../../io/run.ts';
import { stillToDo } from '../compare.ts';
import { checkOneSite } from '../sites.ts';
import type { SwitchCheck, SwitchSession } from '../switch.ts';
import { endpointsWay } from './endpoints.ts';
import type { ObjectPlace } from './object.ts';
import { KubeObject, tokenOf } from './object.ts';
import type { KubernetesOptions, KubernetesSite } from './options.ts';
import type { ScaledSite } from './scale.ts';
import { scaleWay } from './scale.ts';
import { selectorWay } from './selector.ts';
import type { KubeWay, Seen } from './way.ts';

type Place = Omit<ObjectPlace, 'namespace'>;

interface Opened {
  name: string;
  way: KubeWay;
  objects: readonly KubeObject[];
  /** It is at several sites at once. */
  overlaps: boolean;
}

export async function openKubernetes(name: string, options: KubernetesOptions, run: Run): Promise<SwitchSession> {
  return new KubernetesSession(await openedOf(name, options, run));
}

async function openedOf(name: string, options: KubernetesOptions, run: Run): Promise<Opened> {
  const { way, sites = {}, service = '', endpointSlice = '', port = 0 } = options;
  const at = (from: Partial<KubernetesSite>, place: Place): Promise<KubeObject> =>
    objectAt({ ...options, ...from }, { place, run });
  if (way === 'scale') {
    const scaled = await Promise.all(
      Object.entries(sites).map(async ([each, site]): Promise<ScaledSite> => {
        const plural = site.deployment === undefined ? 'statefulsets' : 'deployments';
        const place = { api: 'apps/v1', plural, name: site.deployment ?? site.statefulSet ?? '' };
        return { name: each, site, object: await at(site, place) };
      }),
    );
    return { name, way: scaleWay(name, scaled), objects: scaled.map(({ object }) => object), overlaps: true };
  }
  const place =
    way === 'selector'
      ? { api: 'v1', plural: 'services', name: service }
      : { api: 'discovery.k8s.io/v1', plural: 'endpointslices', name: endpointSlice };
  const labels = Object.fromEntries(Object.entries(sites).map(([each, site]) => [each, site.labels ?? {}]));
  const objects = [await at({}, place)];
  return {
    name,
    way: way === 'selector' ? selectorWay(name, labels) : endpointsWay(name, port),
    objects,
    overlaps: false,
  };
}

async function objectAt(
  {
    kubeconfig,
    context,
    namespace,
    timeout,
  }: Pick<KubernetesOptions, 'kubeconfig' | 'context' | 'namespace' | 'timeout'>,
  { place, run }: { place: Place; run: Run },
): Promise<KubeObject> {
  const access = await kubeAccess(kubeconfig, context);
  const api = new KubeApi(access, run, timeout);
  return new KubeObject(api, { ...place, namespace: namespace ?? access.namespace ?? 'default' });
}

class KubernetesSession implements SwitchSession {
  readonly #opened: Opened;

  constructor(opened: Opened) {
    this.#opened = opened;
  }

  async where(): Promise<Observed> {
    return this.#observe(await this.#look());
  }

  /** The number is left at every object before one is changed: a late move of an older run is refused from then on. */
  async move(move: Move): Promise<void> {
    const { name, way, overlaps } = this.#opened;
    way.checkWish(move.to);
    const { to, token } = move;
    const seen = await this.#look();
    const todo = stillToDo(name, this.#observe(seen), move);
    if (todo === 'nothing') return;
    if (todo === 'move' && overlaps) checkOneSite(name, move);
    const changes = seen.map((each) => ({ ...each, change: todo === 'move' ? way.changeOf(each, to) : undefined }));
    for (const { object, json, change } of changes)
      if (change === undefined && tokenOf(json) < token) await object.write(json, { token, change: {} });
    for (const { object, json, change } of changes)
      if (change !== undefined) await object.write(json, { token, change });
  }

  async confirm(to: Traffic): Promise<Confirmation> {
    return this.#opened.way.confirm(await this.#look(), to);
  }

  async check(): Promise<SwitchCheck[]> {
    const checks: SwitchCheck[] = [];
    for (const object of this.#opened.objects) {
      const right = `patch ${object.resource} in namespace ${object.place.namespace}`;
      const ok = await object.mayWrite();
      checks.push({
        ...{ name: `right to ${right}`, ok, found: ok ? 'allowed' : 'not allowed' },
        ...(ok ? {} : { hint: `allow ${right} to the user of the kubeconfig: a Role and a RoleBinding` }),
      });
    }
    return checks;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #look(): Promise<Seen[]> {
    if (this.#opened.objects.length === 0) throw failure('Bug', `switch ${this.#opened.name} has no object`);
    return Promise.all(this.#opened.objects.map(async (object) => ({ object, json: await object.read() })));
  }

  #observe(seen: readonly Seen[]): Observed {
    return {
      traffic: this.#opened.way.trafficOf(seen),
      token: Math.max(0, ...seen.map(({ json }) => tokenOf(json))),
    };
  }
}
