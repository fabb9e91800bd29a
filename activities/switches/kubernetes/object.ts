import type { KubeApi } from '../../io/kubernetes/api.ts';

export type Json = Record<string, unknown>;

/** Where an object is: "apps/v1", "deployments", "web". */
export interface ObjectPlace {
  api: string;
  plural: string;
  name: string;
  namespace: string;
}

/** The number of the newest run stands on the object that it has moved. */
const TOKEN = 'lifeboat/token';

/** One object, which is changed only as it was read: its resourceVersion is compared by the API server. */
export class KubeObject {
  readonly api: KubeApi;
  readonly place: ObjectPlace;

  constructor(api: KubeApi, place: ObjectPlace) {
    this.api = api;
    this.place = place;
  }

  get path(): string {
    const { plural, name } = this.place;
    return `${this.namespacePath}/${plural}/${name}`;
  }

  get namespacePath(): string {
    return namespaced(this.place.api, this.place.namespace);
  }

  /** "deployments.apps": as rights are named. */
  get resource(): string {
    const group = groupOf(this.place.api);
    return group === '' ? this.place.plural : `${this.place.plural}.${group}`;
  }

  read(): Promise<Json> {
    return this.api.ask({ method: 'GET', path: this.path, right: `get ${this.resource}` });
  }

  /** Busy when it was changed since it was read. */
  async write(seen: Json, { token, change }: { token: number; change: Json }): Promise<void> {
    const { resourceVersion } = mapping(seen['metadata']);
    const metadata = { resourceVersion, annotations: { [TOKEN]: String(token) } };
    const body = { ...change, metadata };
    await this.api.ask({ method: 'PATCH', path: this.path, body, right: `patch ${this.resource}` });
  }

  /** Whether this user may change it, asked of the API server. */
  async mayWrite(): Promise<boolean> {
    const { api, plural: resource, name, namespace } = this.place;
    const resourceAttributes = { verb: 'patch', group: groupOf(api), resource, name, namespace };
    const { status } = await this.api.ask({
      ...{ method: 'POST', path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews' },
      body: {
        ...{ apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview' },
        spec: { resourceAttributes },
      },
      right: 'create selfsubjectaccessreviews.authorization.k8s.io',
    });
    return mapping(status)['allowed'] === true;
  }

  async list(api: string, plural: string, labels: Json): Promise<Json[]> {
    const selector = Object.entries(labels).map(([key, value]) => `${key}=${String(value)}`);
    const path = `${namespaced(api, this.place.namespace)}/${plural}?labelSelector=${encodeURIComponent(selector.join(','))}`;
    const { items } = await this.api.ask({ method: 'GET', path, right: `list ${plural}` });
    return listing(items);
  }
}

function namespaced(api: string, namespace: string): string {
  return `${api === 'v1' ? '/api/v1' : `/apis/${api}`}/namespaces/${namespace}`;
}

function groupOf(api: string): string {
  return api === 'v1' ? '' : (api.split('/')[0] ?? '');
}

export function tokenOf(object: Json): number {
  const value = mapping(mapping(object['metadata'])['annotations'])[TOKEN];
  return typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : 0;
}

export function mapping(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

export function listing(value: unknown): Json[] {
  return Array.isArray(value) ? value.map(mapping) : [];
}

export function count(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
