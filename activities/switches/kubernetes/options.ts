import { z } from 'zod';
import { SITE_FORM } from '../../../workflows/model/traffic.ts';
import { callTimeout } from '../../io/aws/client.ts';
import { pathOption } from '../../io/option-types.ts';
import { twice } from '../sites.ts';

const NAME = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;
const objectName = z.string().regex(NAME, 'the name of a Kubernetes object');

const place = {
  /** Absent: the identity of the worker's pod. */
  kubeconfig: pathOption.optional(),
  /** Absent: the current one of the kubeconfig. */
  context: z.string().min(1).optional(),
  /** Absent: that of the context. */
  namespace: objectName.optional(),
};

const site = z.strictObject({
  ...place,
  /** Of `way: scale`: what is scaled. */
  deployment: objectName.optional(),
  statefulSet: objectName.optional(),
  /** Pods of a site that serves. */
  replicas: z.int().min(1).max(10_000).optional(),
  /** So many ready pods are enough to go on; absent: all of them. */
  minimum: z.int().min(1).optional(),
  /** Pods of a site that waits. */
  standby: z.int().min(0).default(0),
  /** Of `way: selector`: labels of the pods that get the traffic. */
  labels: z.record(z.string().min(1), z.string()).optional(),
});

export type KubernetesSite = z.infer<typeof site>;

const shape = z.strictObject({
  /** scale: pods of each site. selector: the pods behind a Service. endpoints: the addresses of an EndpointSlice. */
  way: z.enum(['scale', 'selector', 'endpoints']),
  ...place,
  /** Of selector. */
  service: objectName.optional(),
  /** Of endpoints: one that belongs to no controller, of a Service without a selector. */
  endpointSlice: objectName.optional(),
  /** Of endpoints: the port of the addresses. */
  port: z.int().min(1).max(65_535).optional(),
  sites: z.record(z.string().regex(SITE_FORM, 'the name of a site'), site).optional(),
  timeout: callTimeout,
});

type Shape = z.infer<typeof shape>;

const NEEDS: Record<Shape['way'], readonly (keyof Shape)[]> = {
  scale: ['sites'],
  selector: ['service', 'sites'],
  endpoints: ['endpointSlice', 'port'],
};
const OF_A_WAY = ['service', 'endpointSlice', 'port', 'sites'] as const;

export const kubernetesSchema = shape.superRefine((options, context) => {
  const { way, sites = {} } = options;
  const issue = (path: (string | number)[], message: string): void =>
    context.addIssue({ code: 'custom', path, message });
  for (const key of OF_A_WAY) {
    const isNeeded = NEEDS[way].includes(key);
    if (isNeeded && options[key] === undefined) issue([key], `a value: way ${way} needs it`);
    if (!isNeeded && options[key] !== undefined) issue([key], `nothing: way ${way} has no use for it`);
  }
  for (const [name, each] of Object.entries(sites)) {
    for (const message of siteProblems(way, each)) issue(['sites', name], message);
  }
  const keyOf = way === 'scale' ? placeOf : ({ labels }: KubernetesSite): string => JSON.stringify(labels);
  for (const { site: name, owner, key } of twice(sites, keyOf))
    issue(['sites', name], `one of its own: ${owner} has ${key}`);
});

function siteProblems(way: Shape['way'], each: KubernetesSite): string[] {
  const { deployment, statefulSet, replicas, minimum = 1, standby, labels } = each;
  if (way === 'selector') return labels && Object.keys(labels).length > 0 ? [] : ['labels of its pods'];
  return [
    ...((deployment === undefined) === (statefulSet === undefined) ? ['either deployment or statefulSet'] : []),
    ...(replicas === undefined ? ['replicas: how many pods it has while it serves'] : []),
    ...(replicas !== undefined && minimum > replicas ? ['a minimum of at most replicas'] : []),
    ...(replicas !== undefined && standby >= replicas ? ['fewer pods for standby than replicas'] : []),
  ];
}

function placeOf({ kubeconfig, context, namespace, deployment, statefulSet }: KubernetesSite): string {
  return [kubeconfig, context, namespace, deployment ?? statefulSet].filter(Boolean).join(' ');
}

export type KubernetesOptions = z.infer<typeof kubernetesSchema>;
