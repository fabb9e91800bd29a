import { openLater } from '../later.ts';
import { defineSwitch } from '../switch.ts';
import type { KubernetesOptions } from './options.ts';
import { kubernetesSchema } from './options.ts';
import { openKubernetes } from './session.ts';

/** Pods of each site, the pods behind a Service, or the addresses of an EndpointSlice. */
export const kubernetesSwitch = defineSwitch<KubernetesOptions>({
  kind: 'kubernetes',
  schema: kubernetesSchema,
  describe: ({ way, service, endpointSlice, sites = {} }) =>
    `${way} ${service ?? endpointSlice ?? Object.keys(sites).join(', ')}`,
  weighted: () => false,
  sites: ({ sites }) => (sites ? Object.keys(sites) : undefined),
  overlaps: ({ way }) => way === 'scale',
  open: (name, options, run) => openLater(() => openKubernetes(name, options, run)),
});
