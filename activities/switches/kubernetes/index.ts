import type { MoveWords } from '../../../workflows/model/service.ts';
import { openLater } from '../later.ts';
import { wordsBySite } from '../sites.ts';
import { defineSwitch } from '../switch.ts';
import type { KubernetesOptions, KubernetesSite } from './options.ts';
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
  words,
  open: (name, options, run) => openLater(() => openKubernetes(name, options, run)),
});

function words({ way, service, sites = {} }: KubernetesOptions): Omit<MoveWords, 'place'> {
  if (way === 'endpoints') return { stopped: 'it has no addresses' };
  if (way === 'selector') {
    const selects = ({ labels = {} }: KubernetesSite): string =>
      `${service} selects ${Object.entries(labels).map((label) => label.join('=')).join(', ')}`; // prettier-ignore
    return { stopped: `${service} selects no pod`, up: wordsBySite(sites, selects) };
  }
  const of = ({ deployment, statefulSet }: KubernetesSite): string =>
    deployment === undefined ? `StatefulSet ${statefulSet}` : `Deployment ${deployment}`;
  return {
    up: wordsBySite(sites, (site) => {
      const enough = site.minimum === undefined ? '' : `, ${site.minimum} are enough`;
      return `${site.replicas} pods of ${of(site)}${enough}`;
    }),
    down: wordsBySite(sites, (site) => `${site.standby} pods of ${of(site)}`),
  };
}
